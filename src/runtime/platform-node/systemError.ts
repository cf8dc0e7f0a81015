/** `no space left on device (ENOSPC)` for what Node throws; no paths, no stack. */
export const systemErrorText = (thrown: unknown): string => {
  if (!(thrown instanceof Error)) return String(thrown)
  const parts = /^(E[A-Z0-9]+): (.*?)(, \w+.*)?$/.exec(thrown.message)
  return parts === null ? thrown.message : `${parts[2]} (${parts[1]})`
}

/** The code of a failed system call, or "". */
export const systemErrorCode = (thrown: unknown): string =>
  thrown instanceof Error && "code" in thrown ? String(thrown.code) : ""
