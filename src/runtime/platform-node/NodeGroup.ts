/** A group in a JSON file, reached over HTTP/2: for clients and for processes of its members. */
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { Effect, Layer, Option } from "effect"
import { hexOf } from "../../base/bytes.ts"
import { isNodeId, type NodeId } from "../../base/NodeId.ts"
import { Carrier, type NodeChannelOptions } from "../Carrier.ts"
import { GroupInvalid, type ReplicaFailed, StoreInvalid } from "../Errors.ts"
import { Group, isAddress, parseGroup, type Transport } from "../Group.ts"
import { listenProblem } from "../internal/groupLinks.ts"
import { makePrint } from "../internal/lines.ts"
import { Member } from "../Member.ts"
import { makeSharedHost, SharedHost } from "../SharedHost.ts"
import type { Operator } from "../Operator.ts"
import { type Penalties, penaltiesProblem } from "../Penalties.ts"
import type { Signer } from "../../link/ports.ts"
import { makeConnectCarrier } from "./connectCarrier.ts"
import { nodeSha256 } from "./nodeCrypto.ts"
import { FileDisk, openFileDisk } from "./fileDisk.ts"
import { nodeVerifier, readSigner } from "./nodeKeys.ts"
import { systemErrorText } from "./systemError.ts"
import { isSecure } from "./tls.ts"
import { type DialTlsFiles, type ListenTlsFiles, readDialTls, readListenTls } from "./tlsFiles.ts"
import { openUnaryChannel } from "./unaryCarrier.ts"

export { type GeneratedKey, generateKey, verify } from "./nodeKeys.ts"

export type { DialTlsFiles, ListenTlsFiles } from "./tlsFiles.ts"

export interface FileOptions {
  /**
   * `link`: one long-lived stream per node, many calls in each of its messages. `unary`: each call
   * is an ordinary Connect call, for networks that let nothing else pass; some ten times the CPU.
   * Default: as the members of the group, where its links are plaintext, else `link`.
   */
  readonly transport?: Transport
  /** For nodes with `"tls": true`, where the defaults of Node.js do not fit. */
  readonly tls?: DialTlsFiles
  /**
   * File with the client's private key (PEM): for groups that list their clients. Absent: a new key
   * at each start.
   */
  readonly key?: string | undefined
}

/** For a client. Fails with one line that says what is wrong with the file. */
export const layerFile = (
  path: string,
  options?: FileOptions
): Layer.Layer<Group | Carrier, GroupInvalid> =>
  Layer.provideMerge(Layer.effect(Carrier, makeClientCarrier(path, options)), layerGroup(path))

const makeClientCarrier = Effect.fnUntraced(function* (
  path: string,
  options: FileOptions | undefined
) {
  const carrier = yield* makeCarrier(path, options)
  if (options?.key === undefined) return carrier
  const signer = yield* readKey(options.key)
  return { ...carrier, makeKey: () => signer }
})

const layerGroup = (path: string) => Layer.effect(Group, readGroup(path))

const makeCarrier = Effect.fnUntraced(function* (
  path: string,
  options:
    | (Omit<FileOptions, "key"> & Pick<MemberOptions, "listenTls" | "sharedAddress">)
    | undefined
) {
  const group = yield* Group
  if (options?.tls !== undefined && ![...group.addresses.values()].some(isSecure)) {
    return yield* new GroupInvalid({
      where: path,
      what: `"tls" was given, and group "${group.name}" has no node that is dialled with TLS`,
      remedy: 'write "tls": true beside the addresses of those that are'
    })
  }
  const dial = options?.tls && (yield* readDialTls(options.tls))
  const listen = options?.listenTls && (yield* readListenTls(options.listenTls))
  const carrier = makeConnectCarrier(undefined, {
    ...{ dial, listen },
    sharedAddress: options?.sharedAddress
  })
  const usual = group.links === "plaintext" ? group.transport : "link"
  if ((options?.transport ?? usual) === "link") return carrier
  return { ...carrier, unary: (channel: NodeChannelOptions) => openUnaryChannel(channel, dial) }
})

const makeMemberCarrier = Effect.fnUntraced(function* (
  path: string,
  options: MemberOptions | undefined
) {
  const shared = yield* Effect.serviceOption(SharedHost)
  if (Option.isNone(shared)) return yield* makeCarrier(path, options)
  const told = OF_HOST.find((option) => options?.[option] !== undefined)
  if (told === undefined) return shared.value.carrier
  const what = `"${told}" is the host's, which the node shares with others`
  return yield* new GroupInvalid({ where: path, what, remedy: "give it to NodeGroup.layerHost" })
})

export interface MemberOptions {
  /**
   * Where the node keeps what it said; required in a durable group. No two processes may share it.
   */
  readonly dataFolder?: string
  /**
   * Makes the data folder where there is none. Only for a member that never spoke: one that lost
   * its folder must not start with an empty one.
   */
  readonly init?: boolean
  /** File with the node's private key (PEM): for proven links and signed methods. */
  readonly key?: string | undefined
  /**
   * `host:port` to listen at, where it is not what the group file has: behind a proxy, or in a
   * container. Default: the node's address.
   */
  readonly listen?: string
  /** The node ends TLS itself, where no proxy before it does. */
  readonly listenTls?: ListenTlsFiles
  /** For dialling nodes with `"tls": true`, where the defaults of Node.js do not fit. */
  readonly tls?: DialTlsFiles
  /**
   * All connections come from one address, as behind a proxy: what is bounded by address is bounded
   * in all alone. Default: false.
   */
  readonly sharedAddress?: boolean
  /** What the node does about spam, faults and proven lies. Default: what suits the fault model. */
  readonly penalties?: Penalties
  /** Told once the node listens: what to change the group's members with, while it runs. */
  readonly operator?: (operator: Operator) => void
}

export interface HostOptions {
  /** `host:port` at which it listens: that of its nodes in their group files, or behind a proxy. */
  readonly listen: string
  /** File with the host's private key (PEM), which is that of all its nodes. */
  readonly key?: string
  /** For its nodes: as in {@link MemberOptions}. */
  readonly listenTls?: ListenTlsFiles
  readonly tls?: DialTlsFiles
  readonly sharedAddress?: boolean
}

/**
 * A host for the nodes of several groups, which share its address, its key and one link to each
 * other host: provide it to the layers of them all. A node whose disk fails goes silent alone.
 */
export const layerHost = (options: HostOptions): Layer.Layer<SharedHost, GroupInvalid> =>
  Layer.effect(
    SharedHost,
    Effect.gen(function* () {
      const { listen: address, key, listenTls, tls, sharedAddress } = options
      if (!isAddress(address)) {
        const what = `a host cannot listen at "${address}"`
        return yield* unusable("NodeGroup.layerHost", what, 'write "host:port", port 1 to 65535')
      }
      const signer = key === undefined ? undefined : yield* readKey(key)
      const dial = tls && (yield* readDialTls(tls))
      const listen = listenTls && (yield* readListenTls(listenTls))
      const carrier = makeConnectCarrier(undefined, { dial, listen, sharedAddress })
      const print = makePrint(yield* Effect.context<never>(), { host: address })
      return yield* makeSharedHost({ carrier, signer, address, name: `host ${address}`, print })
    })
  )

/** What the host decides, where there is one for several groups. */
const OF_HOST = ["listen", "listenTls", "tls", "sharedAddress", "key"] as const

/** For the process that is member `id`. Its data folder is locked until the scope ends. */
export const layerMember = (
  path: string,
  id: NodeId,
  options?: MemberOptions
): Layer.Layer<Group | Carrier | Member, GroupInvalid | StoreInvalid> =>
  Layer.effect(Member, makeMember(path, id, options)).pipe(
    Layer.provideMerge(Layer.effect(Carrier, makeMemberCarrier(path, options))),
    Layer.provideMerge(layerGroup(path))
  )

const makeMember = Effect.fnUntraced(function* (
  path: string,
  id: NodeId,
  options: MemberOptions | undefined
) {
  const group = yield* Group
  if (group.system.rank(id) < 0) {
    const members = group.system.members.join(", ")
    // `Number` of what was left out, or of what is no number, is NaN.
    return yield* isNodeId(id)
      ? new GroupInvalid({
          where: path,
          what: `group "${group.name}" has no node ${id}`,
          remedy: `its nodes are ${members}`
        })
      : new GroupInvalid({
          where: path,
          what: `the node id given to this process is missing or no whole number (${id})`,
          remedy: `give one of ${members}`
        })
  }
  const init = options?.init === true
  const shared = Option.getOrUndefined(yield* Effect.serviceOption(SharedHost))
  const own = options?.key === undefined ? undefined : yield* readKey(options.key)
  const signer = shared?.signer ?? own
  // A host has its key for all its groups, also for one whose members have none.
  const keyed = shared === undefined || group.keys.size > 0
  if (signer !== undefined && keyed) {
    yield* checkMemberKey(group, id, { signer, path: options?.key ?? path })
  }
  const listen = shared === undefined ? yield* checkListen(group, id, path, options) : {}
  const reached = listenProblem(group, shared?.address ?? listen.listen)
  if (reached !== undefined) return yield* new GroupInvalid({ where: path, ...reached })
  const { penalties, operator } = options ?? {}
  const problem = penalties && penaltiesProblem(penalties, group.faults, group.system)
  if (problem !== undefined) return yield* new GroupInvalid({ where: path, ...problem })
  const same = {
    ...{ id, init, halted, verifier: nodeVerifier, sha256: nodeSha256, ...listen },
    ...(signer && { signer }),
    ...(penalties && { penalties }),
    ...(operator && { operator })
  }
  if (!group.durable) return Member.of({ ...same, disk: undefined })
  if (options?.dataFolder === undefined) {
    return yield* new GroupInvalid({
      where: path,
      what: `group "${group.name}" is durable, and node ${id} was given no data folder`,
      remedy: 'name one with "dataFolder"'
    })
  }
  const disk = yield* openDisk(options.dataFolder, init)
  return Member.of({ ...same, disk })
})

/** Where nodes and clients dial this node with TLS, the node or a proxy before it ends it. */
const checkListen = (
  group: Group["Service"],
  id: NodeId,
  where: string,
  options: MemberOptions | undefined
): Effect.Effect<{ readonly listen?: string }, GroupInvalid> => {
  const { listen, listenTls } = options ?? {}
  const fail = (what: string, remedy: string) => new GroupInvalid({ where, what, remedy })
  if (listen !== undefined && !isAddress(listen)) {
    return fail(`node ${id} cannot listen at "${listen}"`, 'write "host:port", port 1 to 65535')
  }
  if (listen !== undefined) return Effect.succeed({ listen })
  const dialled = isSecure(group.addresses.get(id)!)
  if (dialled && listenTls === undefined) {
    const what = `node ${id} is dialled with TLS, and listens there itself without`
    return fail(what, "give it listenTls, or the address behind the proxy that ends TLS (listen)")
  }
  if (!dialled && listenTls !== undefined) {
    const what = `node ${id} has listenTls, and is dialled without TLS`
    return fail(what, `write "tls": true beside its address, or leave listenTls out`)
  }
  return Effect.succeed({})
}

const unusable = (path: string, what: string, remedy: string) =>
  new GroupInvalid({ where: resolve(path), what, remedy })

/** The private key in a file. */
const readKey = (path: string): Effect.Effect<Signer, GroupInvalid> =>
  Effect.suspend(() => {
    let pem: string
    try {
      pem = readFileSync(path, "utf8")
    } catch (error) {
      const what = `it cannot be read: ${systemErrorText(error)}`
      return unusable(path, what, "name the file of a private key")
    }
    const none = "it holds no ed25519 private key in PEM"
    return Effect.succeed(readSigner(pem)).pipe(
      Effect.filterOrFail(
        (signer) => signer !== undefined,
        () => unusable(path, none, "make one with npx quorate keygen")
      )
    )
  })

const checkMemberKey = Effect.fnUntraced(function* (
  group: Group["Service"],
  id: NodeId,
  { signer, path }: { readonly signer: Signer; readonly path: string }
) {
  const key = hexOf(signer.publicKey)
  const told = group.keys.get(id)
  if (told !== undefined && hexOf(told) === key) return
  const named = told === undefined ? "no key" : `key ${hexOf(told)}`
  const what = `its public key is ${key}, and the group file has ${named} for node ${id}`
  const remedy = `name node ${id}'s own file, or write "key": "${key}" in every group file`
  return yield* unusable(path, what, remedy)
})

const openDisk = (folder: string, init: boolean) =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const disk = openFileDisk({ folder, init })
      return disk instanceof FileDisk ? Effect.succeed(disk) : Effect.fail(new StoreInvalid(disk))
    }),
    (disk) => Effect.sync(() => disk.close())
  )

const readGroup = (path: string): Effect.Effect<Group["Service"], GroupInvalid> =>
  Effect.suspend(() => {
    const value = readJson(path)
    const group = value instanceof GroupInvalid ? value : parseGroup(value, path)
    return group instanceof GroupInvalid ? Effect.fail(group) : Effect.succeed(group)
  })

const readJson = (path: string): unknown => {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (error) {
    const what = `it cannot be read: ${systemErrorText(error)}`
    return new GroupInvalid({ where: resolve(path), what, remedy: "name the group's file" })
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    const what = `it is no JSON: ${error instanceof Error ? error.message : error}`
    return new GroupInvalid({
      where: path,
      what: what.replaceAll(/\s+/g, " "),
      remedy: "correct it"
    })
  }
}

/** A node that went silent must not look alive: its process ends, as if it were told to, with 1. */
const halted = (_: ReplicaFailed): void => {
  process.exitCode = 1
  process.kill(process.pid, "SIGTERM")
}
