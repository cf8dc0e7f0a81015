/** One node of a group as a layer: it runs until its scope ends. */
import { Config, Effect, Layer, Option } from "effect"
import { LIMITS } from "../base/limits.ts"
import { Carrier } from "./Carrier.ts"
import { ReplicaFailed } from "./Errors.ts"
import { Group } from "./Group.ts"
import { type EpochRun, type NodeParts, protocolFailed } from "./internal/epochRun.ts"
import { EpochStore } from "./internal/epochStore.ts"
import { linksNotice } from "./internal/groupLinks.ts"
import { makePrint, type Print } from "./internal/lines.ts"
import { observers } from "./internal/observed.ts"
import { ReplicaEpochs } from "./internal/replicaEpochs.ts"
import { Member } from "./Member.ts"
import type { Protocol } from "./Service.ts"
import { makeSharedHost, SharedHost } from "./SharedHost.ts"

export { ReplicaFailed } from "./Errors.ts"

type RequirementsOf<P> = P extends Protocol<any, infer R> ? R : never

/**
 * The node that `Member` names, of the group in the context, running these protocols until the
 * scope ends; it then stops taking calls, writes what its log still holds, and tells its links,
 * within two seconds. Prints one line once it listens. Fails with one line where it cannot start.
 *
 * Where `NODE_ENV` is "development", handlers of phases run twice, and messages are frozen.
 */
export const layer = <const P extends ReadonlyArray<Protocol<any, any>>>(
  ...protocols: P
): Layer.Layer<never, ReplicaFailed, RequirementsOf<P[number]> | Group | Member | Carrier> =>
  Layer.effectDiscard(start(protocols)) as Layer.Layer<never, ReplicaFailed, any>

const start = Effect.fnUntraced(function* (protocols: ReadonlyArray<Protocol<any, any>>) {
  const [group, member, carrier] = [yield* Group, yield* Member, yield* Carrier]
  const context = yield* Effect.context<never>()
  const print = makePrint(context, { group: group.name, node: member.id })
  const asked = { protocols, member, carrier }
  yield* checkProtocols(asked, group)
  const invalid = problemOf(asked, group)
  if (invalid !== undefined) return yield* invalid
  const { epochLingerMs = LIMITS.epochLingerMs } = member
  const parts: NodeParts = {
    ...asked,
    context,
    development: (yield* NODE_ENV) === "development",
    observers: yield* observers,
    limits: { ...LIMITS, epochLingerMs },
    place: yield* placeOf(asked, group, print)
  }
  const epochs = yield* openEpochs(parts, group, print)
  yield* Effect.addFinalizer(() => stop(parts, epochs))
  yield* epochs.start
  // Before the line: who reads it may go on to operate the node.
  member.operator?.(epochs)
  for (const run of epochs.runs.values()) {
    print("Info", startLine(run, parts), { reason: "listening" })
  }
  const notice = linksNotice(group)
  if (notice !== undefined) {
    print("Info", `node ${member.id}: ${notice}`, { reason: "plaintext" })
  }
})

/** What a node is asked to be. */
type Asked = Pick<NodeParts, "protocols" | "member" | "carrier">

const openEpochs = (
  parts: NodeParts,
  group: Group["Service"],
  print: Print
): Effect.Effect<ReplicaEpochs, ReplicaFailed> =>
  Effect.suspend(() => {
    const { member, place } = parts
    const where = `node ${member.id} of group "${group.name}"`
    const store =
      member.disk && group.durable ? EpochStore.open(member.disk, group.name) : undefined
    if (store !== undefined && "what" in store) return new ReplicaFailed(store)
    const halted = (reason: string): void => {
      const failure = new ReplicaFailed({
        where,
        what: `halted: ${reason}`,
        remedy: "remove the cause, then start the node again"
      })
      print("Error", failure.message, { reason: "halted" })
      // The nodes of other groups go on without it.
      if (place.host.size > 1) epochs.stop({ code: "not_ready", detail: failure.what })
      else member.halted?.(failure)
    }
    const report = (what: string): void => {
      const about = { reason: "epoch", group: group.name, node: member.id }
      place.host.reporter.say(`group ${group.name}: ${what}`, about, `epoch: ${what}`)
    }
    let epochs: ReplicaEpochs
    try {
      const problem = (next: Group["Service"]) => problemOf(parts, next)
      epochs = new ReplicaEpochs({ parts, group, store, problem, report, halted })
    } catch (error) {
      if (!(error instanceof ReplicaFailed)) throw error
      return error
    }
    return Effect.succeed(epochs)
  })

const NODE_ENV = Effect.orElseSucceed(Config.String("NODE_ENV"), () => "")

/** The author's mistakes, which {@link Protocol.spec} throws. */
const checkProtocols = (
  { protocols, member }: Asked,
  group: Group["Service"]
): Effect.Effect<void, ReplicaFailed> =>
  Effect.suspend(() => {
    try {
      for (const protocol of protocols) void protocol.spec
      return Effect.void
    } catch (error) {
      return protocolFailed(error, `node ${member.id} of group "${group.name}"`)
    }
  })

const problemOf = (
  { protocols, member, carrier }: Asked,
  group: Group["Service"]
): ReplicaFailed | undefined => {
  const fail = (what: string, remedy: string) =>
    new ReplicaFailed({ where: `node ${member.id} of group "${group.name}"`, what, remedy })
  if (group.system.rank(member.id) < 0) {
    const members = group.system.members.join(", ")
    return fail("the group has no such node", `start one of its nodes: ${members}`)
  }
  if (group.links !== "plaintext") {
    if (member.signer === undefined) {
      const what = `links are ${group.links}, and this node was given no private key`
      return fail(what, 'name the file of its key with "key"')
    }
    if (carrier.suite === undefined) {
      return fail(`links are ${group.links}, and this carrier has none`, "take another carrier")
    }
  }
  if (group.transport === "unary" && carrier.dialUnary === undefined) {
    return fail("its members use unary calls, and this carrier has none", "take another carrier")
  }
  if (group.epoch > 1 && (!group.durable || group.transport === "unary")) {
    const what = `it is epoch ${group.epoch}, and its members cannot change`
    return fail(what, 'leave "epoch" out, or write "durable": true and "transport": "link"')
  }
  if (group.durable && member.disk === undefined) {
    return fail("the group is durable, and this node has no data folder", "give it a dataFolder")
  }
  const proven = protocols
    .flatMap(({ spec }) => spec.methods)
    .find((method) => method.signed === true || method.proofs !== undefined)
  if (proven !== undefined && group.keys.size === 0) {
    return fail(
      `${proven.fullName} needs signatures, and the group's nodes have no keys`,
      'give each node of the group file a "key": npx quorate keygen makes them'
    )
  }
  if (proven !== undefined && (member.signer === undefined || member.verifier === undefined)) {
    return fail(
      `${proven.fullName} needs signatures, and this node was given no private key`,
      'name the file of its key with "key"'
    )
  }
  const laned = protocols.find(({ spec }) => Object.keys(spec.world?.lanes ?? {}).length > 0)
  if (!group.durable && laned !== undefined) {
    return fail(
      `${laned.spec.name} has lanes, which a node must remember, and the group is not durable`,
      'write "durable": true in the group file'
    )
  }
  return undefined
}

/** The host that is shared, or one of the node's own. */
const placeOf = Effect.fnUntraced(function* (
  { member, carrier }: Asked,
  group: Group["Service"],
  print: Print
) {
  const shared = yield* Effect.serviceOption(SharedHost)
  // It stops with its own scope: other groups may go on.
  if (Option.isSome(shared)) return { ...shared.value, refuse: () => {} }
  const address = member.listen ?? group.addresses.get(member.id)!
  const { signer } = member
  return yield* makeSharedHost({ carrier, signer, address, name: `node ${member.id}`, print })
})

const startLine = ({ group, log, disk }: EpochRun, { member, place }: NodeParts): string => {
  const made = log?.made === true ? " (made)" : ""
  const store = log === undefined ? "none" : `${disk?.where}${made}`
  const repaired = log?.repaired === undefined ? "" : `, repaired: ${log.repaired}`
  const name = group.epoch === 1 ? group.name : `${group.name}, epoch ${group.epoch}`
  return `node ${member.id}: group ${name}, address ${place.address}, store ${store}${repaired}`
}

const POLL_MS = 5

/** On real time, whatever the clock of the context: a stop happens once and takes what it takes. */
const pause = (ms: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const timer = setTimeout(() => resume(Effect.void), ms)
    return Effect.sync(() => clearTimeout(timer))
  })

const stop = Effect.fnUntraced(function* ({ place }: NodeParts, epochs: ReplicaEpochs) {
  place.refuse()
  epochs.refuse()
  const runs = [...epochs.runs.values()]
  yield* Effect.all(runs.map((run) => run.stopRuns))
  const writing = () => runs.some((run) => run.writing)
  for (let left = LIMITS.shutdownMs / 2; left > 0 && writing(); left -= POLL_MS) {
    yield* pause(POLL_MS)
  }
  // What became durable just now still leaves: one more turn.
  yield* pause(0)
  epochs.stop()
})
