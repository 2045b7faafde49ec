// Colours of lesions, in turn.

/** Okabe and Ito's: told apart with every common colour vision. */
export const COLOURS = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [213, 94, 0],
  [204, 121, 167],
] as const;
