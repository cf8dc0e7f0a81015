/** Coverage marks: a subtle branch names itself, and its one small test asserts that it was hit. */
let hits: Map<string, number> | undefined

/** Free unless a test records. */
export const mark = (name: string): void => {
  if (hits !== undefined) hits.set(name, (hits.get(name) ?? 0) + 1)
}

/** Runs `body` and returns how often each mark was hit in it. */
export const recordMarks = (body: () => void): ReadonlyMap<string, number> => {
  const outer = hits
  const mine = new Map<string, number>()
  hits = mine
  try {
    body()
  } finally {
    hits = outer
  }
  return mine
}
