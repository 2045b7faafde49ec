// Asking the server, and names that let a change sent twice be done once.

/** An answer as data; a refusal becomes an error with what was found and what to do. */
export async function ask(url: string, body?: Record<string, unknown>): Promise<unknown> {
  const headers = { "content-type": "application/json" };
  const init: RequestInit = body ? { method: "POST", body: JSON.stringify(body), headers } : {};
  const response = await fetch(url, init);
  const data = (await response.json()) as Record<string, string>;
  if (!response.ok) throw new Error([data["found"], data["do"] || data["expected"]].filter(Boolean).join("; "));
  return data;
}

export function requestName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (n) => n.toString(16).padStart(2, "0")).join("");
}
