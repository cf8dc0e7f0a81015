/** The constructors of directives, as handlers find them in what they are given. */
import type { FailCode } from "../base/errorCode.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { CallId, Command, Directive, Target } from "./Directive.ts"
import type { Snapshot } from "./snapshot.ts"
import type { Certificate, SignedRequest, SignedWord } from "./Proof.ts"

interface OfCall {
  readonly call?: CallId
}
const WAIT: Directive = Object.freeze({ kind: "wait" })
type Key = string | number
type Fetch = Omit<Extract<Directive, { kind: "fetch" }>, "kind">

/** Those that are the same for every method. Types of messages are the rim's. */
export const DIRECTIVES = {
  wait: WAIT,
  ignore: (reason: string): Directive => ({ kind: "ignore", reason }),
  fail: (code: FailCode, detail: string): Directive => ({ kind: "fail", code, detail }),
  refuse: Object.freeze({
    redirect: (node: NodeId): Directive => ({ kind: "refuse", code: "redirect", node }),
    overloaded: (): Directive => ({ kind: "refuse", code: "overloaded" })
  }),
  store: (record: object): Directive => ({ kind: "store", record }),
  note: (record: object): Directive => ({ kind: "note", record }),
  apply: (
    command: object | ReadonlyArray<Command>,
    options?: OfCall & { readonly tentative?: boolean }
  ): Directive => ({
    kind: "apply",
    items: Array.isArray(command) ? command : [{ command, call: options?.call }],
    ...(options?.tentative && { tentative: true })
  }),
  rollback: (index: number): Directive => ({ kind: "rollback", index }),
  read: (query: unknown, options?: OfCall & { readonly index?: number }): Directive => ({
    kind: "read",
    query,
    ...options
  }),
  install: ({ index, bytes }: { index: number; bytes: Uint8Array }): Directive => ({
    kind: "install",
    index,
    bytes
  }),
  offer: (snapshot: Snapshot): Directive => ({ kind: "offer", snapshot }),
  fetch: ({ index, digest, length, from }: Fetch): Directive => ({
    kind: "fetch",
    index,
    digest,
    length,
    from
  }),
  deliver: (message: object): Directive => ({ kind: "deliver", message }),
  floor: (lane: string, index: number): Directive => ({ kind: "floor", lane, index }),
  arm: (timer: string, ms: number): Directive => ({ kind: "arm", timer, ms }),
  disarm: (timer: string): Directive => ({ kind: "disarm", timer }),
  count: (proof: SignedWord | Certificate): Directive => ({ kind: "count", proof }),
  admit: (request: SignedRequest): Directive => ({ kind: "admit", request }),
  park: (key: Key): Directive => ({ kind: "park", key }),
  wake: (key: Key): Directive => ({ kind: "wake", key })
} as const

/** `forward.echo(...)` for the phases that a method may forward to. */
export const forwardTo = (names: ReadonlyArray<string>): object =>
  Object.fromEntries(
    names.map((method) => [
      method,
      (message: object, options?: { readonly to?: Target }): Directive => ({
        kind: "forward",
        method,
        message,
        to: options?.to ?? "all"
      })
    ])
  )

const replyAs = (method: string): object => {
  const say =
    (more: { readonly tentative?: true }) =>
    (message: object, options?: { readonly call?: CallId }): Directive => {
      const call = options?.call === undefined ? undefined : { call: options.call }
      return { kind: "reply", method, message, ...call, ...more }
    }
  return Object.assign(say({}), { tentative: say({ tentative: true }) })
}

/** `reply(...)` where one call can be answered, `reply.put(...)` where several share the phase. */
export const replyTo = (names: ReadonlyArray<string>): unknown => {
  const [only] = names
  return names.length === 1 && only !== undefined
    ? replyAs(only)
    : Object.fromEntries(names.map((name) => [name, replyAs(name)]))
}
