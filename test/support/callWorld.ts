/** A call table with nodes played by hand, in virtual time. */
import type { ErrorCode } from "../../src/base/errorCode.ts"
import { LIMITS, type Limits } from "../../src/base/limits.ts"
import type { NodeId } from "../../src/base/NodeId.ts"
import { CallCore, type CallResult, type CallSpec } from "../../src/link/callCore.ts"
import type { FaultModel } from "../../src/quorum/FaultModel.ts"
import { first, majority } from "../../src/quorum/Policy.ts"
import { makeSystem, type System } from "../../src/quorum/QuorumSystem.ts"
import { openedMs, sessionKey } from "../../src/server/laneKey.ts"
import type { Cancel, ClientMessage, Reply, Request } from "../../src/server/Message.ts"

export const START_MS = 1_700_000_000_000

/** The size of a table that holds nothing. */
export const EMPTY = { calls: 0, waiting: 0, timers: 0, sessions: 0, bytes: 0 }

/** One byte a message; an empty body decodes to nothing. */
export const bytes = (value: number): Uint8Array => Uint8Array.of(value)
export const decode = (body: Uint8Array): number => {
  if (body.length !== 1) throw new Error(`a reply has 1 byte, not ${body.length}`)
  return body[0]!
}

export interface Sent {
  readonly to: NodeId
  readonly message: ClientMessage
}
export interface Asked extends Sent {
  readonly message: Request
}

/** A call as its caller sees it. */
export interface Caller<A> {
  readonly id: number
  /** How often `done` was called; more than 1 is a bug. */
  ends: number
  result: CallResult<A> | undefined
}

export interface WorldOptions {
  readonly nodes?: number
  readonly model?: FaultModel
  readonly limits?: Partial<Limits>
  readonly random?: (below: number) => number
}

export class CallWorld {
  nowMs = START_MS
  wakeMs = Number.POSITIVE_INFINITY
  readonly system: System
  readonly core: CallCore
  readonly limits: Limits
  /** Links that are up. */
  readonly links = new Set<NodeId>()
  /** Everything sent and not looked at yet. */
  readonly sent: Array<Sent> = []
  #nonce = 0

  constructor({ nodes = 3, model = "crash", limits, random = () => 0 }: WorldOptions = {}) {
    this.limits = { ...LIMITS, ...limits }
    this.system = makeSystem(
      Array.from({ length: nodes }, (_, i) => i + 1),
      model
    )
    this.core = new CallCore({
      system: this.system,
      limits: this.limits,
      ports: {
        clock: { nowMs: () => this.nowMs },
        sessionKey: (ms) => sessionKey(ms, this.#digest()),
        send: (to, message) => {
          if (!this.links.has(to)) return false
          this.sent.push({ to, message })
          return true
        },
        random,
        wake: (atMs) => {
          this.wakeMs = atMs
        }
      }
    })
  }

  #digest(): Uint8Array {
    const digest = new Uint8Array(16)
    new DataView(digest.buffer).setUint32(0, ++this.#nonce)
    return digest
  }

  up(...nodes: ReadonlyArray<NodeId>): this {
    for (const node of nodes) this.hello(node, 0)
    return this
  }

  hello(node: NodeId, horizonMs: number): void {
    this.links.add(node)
    this.core.linkUp(node, horizonMs)
  }

  down(node: NodeId, why = "connection refused"): void {
    this.links.delete(node)
    this.core.linkDown(node, why)
  }

  /** Lets time pass, with the wakes that were asked for and no other. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms
    while (this.wakeMs <= untilMs) {
      this.nowMs = Math.max(this.nowMs, this.wakeMs)
      this.wakeMs = Number.POSITIVE_INFINITY
      this.core.tick()
    }
    this.nowMs = untilMs
  }

  /** A QUORUM call of a majority, unless told otherwise. */
  call<A = unknown>(spec: Partial<CallSpec<number, A>> = {}): Caller<A> {
    const body = bytes(1)
    const caller: { id: number; ends: number; result: CallResult<A> | undefined } = {
      id: 0,
      ends: 0,
      result: undefined
    }
    caller.id = this.core.start<number, A>({
      method: 7,
      call: "quorum",
      body: () => body,
      targets: this.system.members,
      decode,
      policy: majority<number>() as CallSpec<number, A>["policy"],
      deadlineMs: 5_000,
      ...spec,
      done: (result) => {
        caller.ends++
        caller.result = result
      }
    })
    return caller
  }

  /** Takes all that was sent. */
  take(): Array<Sent> {
    return this.sent.splice(0)
  }

  /** Takes what was sent, which must be requests. */
  asked(): Array<Asked> {
    return this.take().map(({ to, message }) => {
      if (message.kind !== "request") throw new Error(`node ${to} got a ${message.kind}`)
      return { to, message }
    })
  }

  /** Takes what was sent, which must be cancels. */
  cancels(): Array<Sent & { readonly message: Cancel }> {
    return this.take().map(({ to, message }) => {
      if (message.kind !== "cancel") throw new Error(`node ${to} got a ${message.kind}`)
      return { to, message }
    })
  }

  reply({ to, message }: Asked, value: number): void {
    this.core.onReply(to, { ...answer(message), body: bytes(value) })
  }

  tentative({ to, message }: Asked, value: number): void {
    this.core.onReply(to, { ...answer(message), body: bytes(value), tentative: true })
  }

  /** A failure, or a refusal for now. */
  fail({ to, message }: Asked, code: ErrorCode, more: Partial<Reply> = {}): void {
    this.core.onReply(to, { ...answer(message), code, ...more })
  }
}

const answer = ({ session, index }: Request): Reply => ({
  kind: "reply",
  session,
  index,
  body: new Uint8Array(0)
})

/** Where copies went: node ids. */
export const nodesOf = (sent: ReadonlyArray<Sent>): Array<NodeId> => sent.map(({ to }) => to)

export const indexesOf = (asked: ReadonlyArray<Asked>) => asked.map(({ message }) => message.index)

export const openedOf = ({ message }: Asked): number => openedMs(message.session)

/** A failure as text: "code needed/got 1:outcome(code: detail) …" */
export const textOf = (result: CallResult<unknown> | undefined): string => {
  if (result === undefined) return "open"
  if (result.ok) return "ok"
  const nodes = result.outcomes.map(({ node, outcome, code, detail }) => {
    const why = [code, detail].filter((part) => part !== undefined).join(": ")
    return `${node} ${outcome}${why === "" ? "" : ` (${why})`}`
  })
  const detail = result.detail === undefined ? "" : ` (${result.detail})`
  return `${result.code}${detail} ${result.got}/${result.needed}; ${nodes.join("; ")}`
}

export const answerOf = <A>(caller: Caller<A>): A => {
  if (!caller.result?.ok) throw new Error(`no answer: ${textOf(caller.result)}`)
  return caller.result.answer
}

/** A multiparty call that any reply answers. */
export const group = (world: CallWorld) => world.call({ call: "multiparty", policy: first() })
export const rpc = (world: CallWorld, node: number) =>
  world.call({ call: "rpc", targets: [node], policy: first() })
