/** How a call ends without an answer: the code, and what became of it at every target. */
import type { ErrorCode } from "../base/errorCode.ts"
import type { NodeId } from "../base/NodeId.ts"
import { NodeSet } from "../base/nodeSet.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { CallSpec, NodeOutcome } from "./callTypes.ts"
import { DISAGREED, FAILED, type OpenCall, REPLIED, SKIPPED, type Targets } from "./openCall.ts"

/** What became of the call at every target; `waitsFor` words what a pending one waits for. */
export const outcomesOf = (
  call: OpenCall,
  waitsFor: (call: OpenCall, slot: number) => string
): Array<NodeOutcome> => {
  const outcomes: Array<NodeOutcome> = []
  for (const [slot, node] of call.targets.nodes.entries()) {
    const state = call.states[slot]!
    if (state === SKIPPED) continue
    if (state === REPLIED) outcomes.push({ node, outcome: "replied" })
    else if (state === DISAGREED) outcomes.push({ node, outcome: "disagreed" })
    else if (state === FAILED) {
      const { code, detail } = call.troubles![slot]!
      outcomes.push({ node, outcome: "failed", code, ...(detail === undefined ? {} : { detail }) })
    } else outcomes.push(pendingOutcome(call, slot, node, waitsFor(call, slot)))
  }
  return outcomes
}

const pendingOutcome = (
  call: OpenCall,
  slot: number,
  node: NodeId,
  waitsFor: string
): NodeOutcome => {
  const trouble = call.troubles?.[slot]
  if (trouble === undefined) return { node, outcome: "pending", detail: waitsFor }
  const times = trouble.tries === 1 ? "refused once" : `refused ${trouble.tries} times`
  const why = trouble.detail === undefined ? times : `${times}, last: ${trouble.detail}`
  return { node, outcome: "pending", code: trouble.code, detail: `${why}; ${waitsFor}` }
}

/** Of a call that no reply can end any more: what its nodes say alike, else `unavailable`. */
export const codeOf = (call: OpenCall, system: System): ErrorCode => {
  // What a quorum never takes part in no quorum does: two quorums share a correct member.
  const never = failedWith(call, system, ["epoch_ended"])
  if (call.multiparty && system.quorum.has(never)) return "epoch_ended"
  const over = failedWith(call, system, ["epoch_ended", ...FORGOTTEN])
  if (call.multiparty && system.oneHonest.has(over)) return "outcome_unknown"
  if (forgotten(call, system) !== undefined) return "outcome_unknown"
  let common: ErrorCode | undefined
  let alike = true
  for (const [slot, state] of call.states.entries()) {
    if (state !== FAILED) continue
    const { code } = call.troubles![slot]!
    if (common !== undefined && common !== code) alike = false
    common = code
  }
  return common !== undefined && alike ? common : "unavailable"
}

const FORGOTTEN: ReadonlyArray<ErrorCode> = ["session_expired", "epoch_gone"]

/**
 * The nodes that forgot the call's session or epoch: whether it took effect before, they cannot
 * tell. `undefined`: none, or in a multiparty call so few that all may be liars.
 */
export const forgotten = (call: OpenCall, system: System): NodeSet | undefined => {
  const expired = failedWith(call, system, FORGOTTEN)
  const enough = call.multiparty ? system.oneHonest.has(expired) : expired.count > 0
  return enough ? expired : undefined
}

const failedWith = (call: OpenCall, system: System, codes: ReadonlyArray<ErrorCode>): NodeSet => {
  const nodes = new NodeSet(system.size)
  for (const [slot, state] of call.states.entries()) {
    if (state !== FAILED || !codes.includes(call.troubles![slot]!.code)) continue
    nodes.add(call.targets.ranks[slot]!)
  }
  return nodes
}

/** Replies needed and got, of whatever policy. */
export const gotOf = (call: OpenCall): { readonly needed: number; readonly got: number } => {
  const { count } = call
  if (count === undefined) {
    const skipped = call.states.filter((state) => state === SKIPPED).length
    const got = call.states.filter((state) => state === REPLIED).length
    return { needed: call.states.length - skipped, got }
  }
  try {
    return { needed: count.needed, got: count.got() }
  } catch {
    return { needed: count.needed, got: call.got }
  }
}

/** Ends a call that never got into the table. */
export const refuse = (
  spec: CallSpec<unknown, unknown>,
  targets: Targets,
  code: ErrorCode,
  detail: string
): 0 => {
  const outcomes = targets.nodes.map(
    (node): NodeOutcome => ({ node, outcome: "pending", detail: "not sent" })
  )
  spec.done({ ok: false, code, needed: targets.nodes.length, got: 0, outcomes, detail })
  return 0
}

/** What was thrown, as text, whatever it was. */
export const textOf = (thrown: unknown): string => {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown)
  } catch {
    return "something that cannot be shown"
  }
}
