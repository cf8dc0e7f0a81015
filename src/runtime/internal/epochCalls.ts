/** The calls of a client in one epoch of its group: a call table, and a channel to each member. */
import { hexOf, NO_BYTES } from "../../base/bytes.ts"
import type { ErrorCode } from "../../base/errorCode.ts"
import type { Limits } from "../../base/limits.ts"
import type { NodeId } from "../../base/NodeId.ts"
import { CallCore } from "../../link/callCore.ts"
import { ClientKey } from "../../link/clientKey.ts"
import type { Goodbye } from "../../link/goodbye.ts"
import { type Hello, INCARNATION_BYTES, LINK_VERSION } from "../../link/groupHello.ts"
import { checkHello } from "../../link/hello.ts"
import type { HostLinks } from "../../link/hostLinks.ts"
import type { Clock, Signer } from "../../link/ports.ts"
import type { ClientMessage, MethodId, Reply } from "../../server/Message.ts"
import type { Carrier, NodeChannel } from "../Carrier.ts"
import type { Group } from "../Group.ts"
import { LinkChannel } from "./linkChannel.ts"
import { type ObservedClient, observeClient, type Observers } from "./observed.ts"
import { randomBytes } from "./random.ts"

/** What no waiting mends. */
const FOR_GOOD: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "wrong_group",
  "unsupported_version",
  "unauthenticated",
  "epoch_gone"
])

/** What the epochs of a client share. */
export interface ClientParts {
  readonly carrier: Carrier["Service"]
  readonly limits: Limits
  readonly clock: Clock
  readonly observers: Observers
  readonly links: HostLinks
  readonly publicKey: Uint8Array
  readonly signer: Signer | undefined
  /** Whether requests of the method are signed. */
  readonly isSigned: (method: MethodId) => boolean
  /** "package.Service/Method" of a method that was called. */
  readonly methodName: (method: MethodId) => string | undefined
}

export class EpochCalls {
  readonly core: CallCore
  private readonly parts: ClientParts
  private readonly group: Group["Service"]
  private readonly hello: Hello
  private readonly key: ClientKey
  private readonly observed: ObservedClient
  private readonly unobserve: () => void
  private readonly channels = new Map<NodeId, NodeChannel>()
  private wakeTimer: ReturnType<typeof setTimeout> | undefined

  /** `onReply`: of a node, for the call table or about its epoch. */
  constructor(
    group: Group["Service"],
    parts: ClientParts,
    onReply: (node: NodeId, reply: Reply) => void
  ) {
    this.group = group
    this.parts = parts
    const { carrier, limits, clock, observers, publicKey, signer } = parts
    const scope = { digest: group.digest, epoch: 0 }
    this.key = new ClientKey({ scope, publicKey, signer, random: randomBytes })
    this.observed = observeClient(observers, { group: group.name, key: hexOf(publicKey) })
    this.hello = {
      version: LINK_VERSION,
      group: group.name,
      groupDigest: group.digest,
      node: 0,
      clientKey: publicKey,
      storeId: NO_BYTES,
      incarnation: randomBytes(INCARNATION_BYTES),
      horizonMs: 0,
      fetchToken: NO_BYTES
    }
    this.core = new CallCore({
      system: group.system,
      limits,
      ports: {
        clock,
        sessionKey: (openedMs) => this.key.session(openedMs),
        send: (node, message) => this.send(node, message),
        random: (below) => Math.floor(Math.random() * below),
        wake: (atMs) => this.wake(atMs),
        watch: this.observed.watch
      }
    })
    this.unobserve = this.observed.begin(this.core)
    for (const [node, address] of group.addresses) {
      this.channels.set(node, this.channel(node, address, carrier, onReply))
    }
  }

  tick(): void {
    for (const channel of this.channels.values()) channel.tick()
  }

  /** After its call table: lets go of everything. */
  close(): void {
    this.unobserve()
    clearTimeout(this.wakeTimer)
    for (const channel of this.channels.values()) channel.close()
    this.channels.clear()
  }

  private channel(
    node: NodeId,
    address: string,
    carrier: Carrier["Service"],
    onReply: (node: NodeId, reply: Reply) => void
  ): NodeChannel {
    const { core, hello, group } = this
    const { limits, methodName, links, signer } = this.parts
    const check = (theirs: Hello): Goodbye | undefined =>
      checkHello(hello, theirs) ?? wrongNode(node, address, theirs)
    const up = (theirs: Hello): void => {
      this.observed.tap?.link("up", node)
      core.linkUp(node, theirs.horizonMs)
    }
    const down = (why: string, goodbye?: Goodbye): void => {
      this.observed.tap?.link("down", node)
      if (goodbye === undefined || !FOR_GOOD.has(goodbye.code)) core.linkDown(node, why)
      else core.linkRefused(node, goodbye.code, goodbye.detail)
    }
    const reply = (it: Reply): void => {
      this.observed.tap?.received(node, it)
      onReply(node, it)
    }
    const options = { address, hello, limits, check, methodName, up, down, reply }
    if (carrier.unary !== undefined) return carrier.unary(options)
    const identity = { signer, suite: carrier.suite }
    return new LinkChannel({ ...options, links, group, node, identity })
  }

  private send(node: NodeId, message: ClientMessage): boolean {
    const isSigned = message.kind === "request" && this.parts.isSigned(message.method)
    const taken = this.channels.get(node)?.send(isSigned ? this.key.prove(message) : message)
    if (taken === true) this.observed.tap?.sent(node, message)
    return taken ?? false
  }

  private wake(atMs: number): void {
    clearTimeout(this.wakeTimer)
    const waitMs = Math.max(0, atMs - this.parts.clock.nowMs())
    this.wakeTimer = setTimeout(() => this.core.tick(), waitMs)
  }
}

/** The node behind an address must be the one that the group file names. */
export const wrongNode = (node: NodeId, address: string, theirs: Hello): Goodbye | undefined =>
  theirs.node === node
    ? undefined
    : {
        code: "wrong_group",
        detail: `${address} is node ${theirs.node}, not ${node}: check the group file's addresses`
      }
