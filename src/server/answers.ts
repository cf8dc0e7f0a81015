/** What calls are answered with at this node, and who is told. */
import { NO_BYTES } from "../base/bytes.ts"
import type { ErrorCode } from "../base/errorCode.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { CallState } from "./calls.ts"
import type { Core } from "./core.ts"
import type { Route } from "./Input.ts"
import type { Instance } from "./lanes.ts"
import { type LaneKey, laneText } from "./laneKey.ts"
import type { Reply } from "./Message.ts"
import type { Recovery } from "./recovery.ts"
import type { Answer } from "./sessions.ts"

/**
 * Where an answer is kept beside memory: in an entry of the log; in the log by what led to it; or,
 * of a call without phases, nowhere.
 */
export type AnswerKept = "logged" | "decided" | "alone"

export class Answers {
  private readonly core: Core
  private readonly recovery: Recovery

  constructor(core: Core, recovery: Recovery) {
    this.core = core
    this.recovery = recovery
  }

  /**
   * The final answer of a call at this node; the first stands, and goes to whoever waits for it.
   */
  answer(key: LaneKey, index: number, answer: Answer, kept: AnswerKept): void {
    const session = this.core.sessions.open(key, kept === "alone")
    if (session === undefined) return this.core.count("answer_without_session")
    if (session.finished(index)) return
    // In the log there are those alone that once were in the window.
    if (this.core.booted && !session.inWindow(index)) return this.core.count("answer_above_window")
    // Nobody calls further above what it acknowledged, so this bounds the answers where
    // acknowledgements do not come by: after a boot, and at a node that the client does not call.
    this.recovery.acknowledge(session, index - session.window + 1)
    const call = session.open.get(index)?.call ?? session.running.get(index)
    const { own } = session
    session.finish(index, answer)
    this.core.sessions.fits(0)
    if (kept === "logged") this.core.outbox.log({ kind: "final", session: key, index, ...answer })
    if (call !== undefined) this.reply(call, answer)
    if (session.own !== own) this.recovery.regain(key)
  }

  /** Nobody can say what it needs any more: what others made of the call, this node cannot know. */
  lost({ lane, index }: Instance): void {
    const what = `${laneText(lane.key)}/${index}: words that it needs are gone`
    this.core.report("lost", what, { lane: lane.key, index })
    const detail = "this node was cut off from the words that decided it"
    this.answer(lane.key, index, { code: "outcome_unknown", detail, body: NO_BYTES }, "logged")
  }

  /** Nothing is lost where the call has not come yet: the final answer waits for it. */
  tentative(session: LaneKey, index: number, body: Uint8Array): void {
    const instance = this.core.sessions.get(session)?.open.get(index)
    if (instance === undefined) return this.core.count("tentative_without_call")
    instance.tentative = body
    this.tell(instance)
  }

  /** Sends the tentative answer, where there is one, to who waits for the call. */
  tell({ call, tentative }: Instance): void {
    if (call === undefined || tentative === undefined) return
    this.reply(call, { body: tentative, tentative: true })
  }

  /** Ends one copy of the call: the next one runs. */
  refuse(call: CallState | undefined, code: ErrorCode, node?: NodeId): void {
    if (call === undefined) return
    call.refused = true
    this.reply(call, { code, body: NO_BYTES, ...(node !== undefined && { node }) })
  }

  private reply({ route, session, index }: CallState, answer: Content): void {
    this.send(route, { session: session.key, index }, answer)
  }

  /** To whom the route leads; to nobody while the log is read. */
  send(route: Route, { session, index }: CallAt, answer: Content): void {
    if (route === 0 || !this.core.booted) return
    const reply: Reply = { kind: "reply", session, index, ...answer }
    this.core.outbox.emit({ kind: "reply", route, reply })
  }
}

/** A reply, but for what it answers. */
type Content = Omit<Reply, "kind" | "session" | "index">
export type CallAt = Pick<Reply, "session" | "index">
