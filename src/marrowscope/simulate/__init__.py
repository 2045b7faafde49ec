"""MR physics on label maps: studies with known truth.

Tissues (:mod:`.tissues`) fill a fine grid (:mod:`.tissue_map`); a sequence (:mod:`.signal`) gives each its water and
fat signal; slices are averaged out of the grid (:mod:`.sampling`) and spoilt as scanners spoil them
(:mod:`.artefacts`, put in order by :mod:`.scanner`).
"""
