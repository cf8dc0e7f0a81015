/** A broken promise of our own code: a bug of Quorate, never a user's mistake or a peer's bytes. */
export class Defect extends Error {
  override readonly name = "Defect"
}

/** States what our own code promised; throws {@link Defect} where it does not hold. */
export function assert(condition: unknown, promise = "an invariant"): asserts condition {
  if (!condition) throw new Defect(promise)
}

/** For the branch a closed union leaves over. */
export const unreachable = (value: never): never => {
  throw new Defect(`unreachable: ${JSON.stringify(value)}`)
}
