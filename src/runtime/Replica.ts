/** One node of a group as a layer: it runs until its scope ends. */
import { Config, Effect, Layer, Option } from "effect"
import { LIMITS } from "../base/limits.ts"
import { STORE_ID_BYTES } from "../link/groupHello.ts"
import { LogCore } from "../link/logCore.ts"
import { ProtocolInvalid } from "../server/handlers.ts"
import { Carrier } from "./Carrier.ts"
import { ReplicaFailed } from "./Errors.ts"
import { Group } from "./Group.ts"
import { GroupNode } from "./GroupNode.ts"
import { frozen } from "./internal/frozen.ts"
import { linksNotice } from "./internal/groupLinks.ts"
import { makePrint, type Print } from "./internal/lines.ts"
import { type ObservedNode, observeNode, observers, type Observers } from "./internal/observed.ts"
import { makeClock, randomBytes } from "./internal/random.ts"
import { Runs } from "./internal/runs.ts"
import { Strangers } from "./internal/strangers.ts"
import { twice } from "./internal/twice.ts"
import { Member } from "./Member.ts"
import { penaltyOptions } from "./Penalties.ts"
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
  const parts: Parts = {
    protocols,
    group: yield* Group,
    member: yield* Member,
    carrier: yield* Carrier,
    development: (yield* NODE_ENV) === "development",
    observers: yield* observers
  }
  yield* checkProtocols(parts)
  yield* check(parts)
  const log = yield* openLog(parts)
  const runs = new Runs(yield* Effect.context<never>())
  const labels = { group: parts.group.name, node: parts.member.id }
  const print = makePrint(yield* Effect.context<never>(), labels)
  const observed = observe(parts)
  const place = yield* placeOf(parts, print)
  const node = yield* makeNode(parts, { log, runs, print, observed, place })
  yield* Effect.acquireRelease(
    Effect.sync(() => observed.begin(node)),
    (end) => Effect.sync(end)
  )
  const strangers = new Strangers({
    node,
    group: parts.group,
    self: parts.member.id,
    carrier: parts.carrier,
    limits: LIMITS,
    observers: parts.observers,
    protocols: protocols.map(({ spec }) => spec)
  })
  const leave = yield* Effect.mapError(
    place.open({
      group: parts.group,
      peer: (ends) => node.ways.peer(ends),
      services: protocols.map(({ descriptor }) => descriptor),
      unary: (call, done) => strangers.call(call, done),
      greet: (greeting) => strangers.greet(greeting),
      fetch: node.fetches.serve
    }),
    (what) =>
      new ReplicaFailed({
        where: `node ${parts.member.id}, address ${place.address}`,
        what,
        remedy: "stop what uses the address, or change it in the group file of every member"
      })
  )
  yield* Effect.addFinalizer(() => stop({ node, strangers, place, leave, runs, log }))
  node.start()
  print("Info", startLine(parts, place.address, log), { reason: "listening" })
  const notice = linksNotice(parts.group)
  if (notice !== undefined) {
    print("Info", `node ${parts.member.id}: ${notice}`, { reason: "plaintext" })
  }
})

interface Parts {
  readonly protocols: ReadonlyArray<Protocol<any, any>>
  readonly group: Group["Service"]
  readonly member: Member["Service"]
  readonly carrier: Carrier["Service"]
  readonly development: boolean
  readonly observers: Observers
}
const NODE_ENV = Effect.orElseSucceed(Config.String("NODE_ENV"), () => "")

/** The author's mistakes, which {@link Protocol.spec} throws. */
const checkProtocols = ({ protocols, group, member }: Parts): Effect.Effect<void, ReplicaFailed> =>
  Effect.suspend(() => {
    try {
      for (const protocol of protocols) void protocol.spec
      return Effect.void
    } catch (error) {
      return protocolFailed(error, `node ${member.id} of group "${group.name}"`)
    }
  })

/** @throws what is no {@link ProtocolInvalid} */
const protocolFailed = (error: unknown, where: string): ReplicaFailed => {
  if (!(error instanceof ProtocolInvalid)) throw error
  return new ReplicaFailed({ where, what: error.message, remedy: "change the protocol" })
}

const check = ({
  protocols,
  group,
  member,
  carrier
}: Parts): Effect.Effect<void, ReplicaFailed> => {
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
  return Effect.void
}

const openLog = ({ group, member }: Parts): Effect.Effect<LogCore | undefined, ReplicaFailed> =>
  Effect.suspend(() => {
    if (!group.durable || member.disk === undefined) return Effect.succeed(undefined)
    const log = LogCore.open({
      disk: member.disk,
      limits: LIMITS,
      init: member.init,
      storeId: randomBytes(STORE_ID_BYTES),
      // The name and not the digest: addresses, f and members may change, words stay.
      owner: `node ${member.id} of group "${group.name}"`
    })
    return log instanceof LogCore ? Effect.succeed(log) : new ReplicaFailed(log)
  })

const observe = ({ protocols, group, member, development, observers: on }: Parts): ObservedNode =>
  observeNode(on, {
    group: group.name,
    limits: LIMITS,
    self: member.id,
    protocols: protocols.map(({ spec }) => (development ? twice(frozen(spec)) : spec))
  })

/** The host that is shared, or one of the node's own. */
const placeOf = Effect.fnUntraced(function* ({ group, member, carrier }: Parts, print: Print) {
  const shared = yield* Effect.serviceOption(SharedHost)
  if (Option.isSome(shared)) return shared.value
  const address = member.listen ?? group.addresses.get(member.id)!
  const { signer } = member
  return yield* makeSharedHost({ carrier, signer, address, name: `node ${member.id}`, print })
})

const makeNode = (
  { group, member, carrier }: Parts,
  {
    log,
    runs,
    print,
    observed,
    place
  }: {
    readonly log: LogCore | undefined
    readonly runs: Runs
    readonly print: Print
    readonly observed: ObservedNode
    readonly place: SharedHost["Service"]
  }
): Effect.Effect<GroupNode, ReplicaFailed> =>
  Effect.suspend(() => {
    const where = `node ${member.id} of group "${group.name}"`
    const halted = (reason: string): void => {
      const failure = new ReplicaFailed({
        where,
        what: `halted: ${reason}`,
        remedy: "remove the cause, then start the node again"
      })
      print("Error", failure.message, { reason: "halted" })
      // The nodes of other groups go on without it.
      if (place.host.size > 1) node.stop({ code: "not_ready", detail: failure.what })
      else member.halted?.(failure)
    }
    const { signer, verifier } = member
    const { digest, keys } = group
    const proofs = signer && verifier && { scope: { digest, epoch: 0 }, keys, signer, verifier }
    let node: GroupNode
    try {
      node = new GroupNode({
        host: place.host,
        group,
        self: member.id,
        protocols: observed.protocols,
        watch: observed.watch,
        limits: LIMITS,
        clock: makeClock(),
        sha256: member.sha256,
        carrier,
        log,
        storeId: log?.storeId ?? randomBytes(STORE_ID_BYTES),
        ...(proofs && { proofs }),
        penalties: penaltyOptions(member.penalties ?? {}, group.links !== "plaintext"),
        isEffect: Effect.isEffect,
        run: (token, effect, ended) => runs.start(token, effect, ended),
        interrupt: (token) => runs.interrupt(token),
        halted
      })
    } catch (error) {
      return protocolFailed(error, where)
    }
    const invalid = node.boot()
    return invalid === undefined ? Effect.succeed(node) : new ReplicaFailed(invalid)
  })

const startLine = ({ group, member }: Parts, address: string, log: LogCore | undefined): string => {
  const made = log?.made === true ? " (made)" : ""
  const store = log === undefined ? "none" : `${member.disk?.where}${made}`
  const repaired = log?.repaired === undefined ? "" : `, repaired: ${log.repaired}`
  return `node ${member.id}: group ${group.name}, address ${address}, store ${store}${repaired}`
}

const POLL_MS = 5

/** On real time, whatever the clock of the context: a stop happens once and takes what it takes. */
const pause = (ms: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const timer = setTimeout(() => resume(Effect.void), ms)
    return Effect.sync(() => clearTimeout(timer))
  })

const stop = Effect.fnUntraced(function* (running: {
  readonly node: GroupNode
  readonly strangers: Strangers
  readonly place: SharedHost["Service"]
  readonly leave: () => void
  readonly runs: Runs
  readonly log: LogCore | undefined
}) {
  const { node, strangers, place, leave, runs, log } = running
  if (place.host.size === 1) place.refuse()
  node.refuse()
  strangers.close()
  yield* runs.stop
  const writing = () => log !== undefined && log.failure === undefined && log.durable < log.appended
  for (let left = LIMITS.shutdownMs / 2; left > 0 && writing(); left -= POLL_MS) {
    yield* pause(POLL_MS)
  }
  // What became durable just now still leaves: one more turn.
  yield* pause(0)
  node.stop()
  leave()
})
