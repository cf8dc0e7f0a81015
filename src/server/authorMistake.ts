/** What an author got wrong, in words: it changes nothing but the instance. */
import type { Core } from "./core.ts"

/** A directive that cannot be done. */
export class AuthorMistake extends Error {
  override readonly name = "AuthorMistake"
}

/** A body that fits a message. */
export const bounded = (core: Core, body: Uint8Array): Uint8Array => {
  if (body.length <= core.limits.bodyBytesMax) return body
  throw tooLarge(core, body.length)
}
export const tooLarge = (core: Core, bytes: number): AuthorMistake =>
  new AuthorMistake(`says ${bytes} bytes; at most ${core.limits.bodyBytesMax} fit`)

export const textOf = (thrown: unknown): string =>
  thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)

/** Of what an author's Effect ended with: anything. */
export const failureOf = (result: unknown): string | undefined =>
  typeof result === "object" && result !== null && "failure" in result
    ? String(result.failure)
    : undefined
