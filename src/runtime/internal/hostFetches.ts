/** What one node fetches from the hosts of other members, and what it lets them fetch. */
import { bytesEqual, secretsEqual } from "../../base/bytes.ts"
import type { Limits } from "../../base/limits.ts"
import type { NodeId } from "../../base/NodeId.ts"
import type { Channel } from "../../link/channel.ts"
import type { FetchAsk, FetchResult } from "../../link/fetchCore.ts"
import type { FetchAnswer, FetchRange } from "../../link/fetchStore.ts"
import { type FetchPass, openPass, sealedPass } from "../../link/fetchSealing.ts"
import type { Goodbye } from "../../link/goodbye.ts"
import type { Hello } from "../../link/groupHello.ts"
import type { Crypto } from "../../link/ports.ts"
import type { Carrier, FetchCall, FetchChannel } from "../Carrier.ts"
import type { Group } from "../Group.ts"

/** How members know each other beside their links. */
export interface FetchPasses {
  /** For what this node asks of the member; absent: they have no link, or it gives nothing. */
  readonly toAsk: (member: NodeId) => FetchPass | undefined
  /** For what the member asks of this node. */
  readonly toServe: (member: NodeId) => FetchPass | undefined
}

/** By the channels that stand. */
export const passesOf = (
  channels: ReadonlyMap<NodeId, Channel>,
  suite: Crypto | undefined
): FetchPasses => {
  const passes = new WeakMap<Uint8Array, FetchPass>()
  const passOf = (channel: Channel | undefined, hello: Hello | undefined) => {
    const token = hello?.fetchToken
    if (channel === undefined || token === undefined || token.length === 0) return undefined
    const known = passes.get(token)
    if (known !== undefined) return known
    const proven = channel.session?.proven
    const pass = proven ? sealedPass(suite!, proven.exporter, token) : openPass(token)
    passes.set(token, pass)
    return pass
  }
  return {
    toAsk: (member) => passOf(channels.get(member), channels.get(member)?.theirs),
    toServe: (member) => passOf(channels.get(member), channels.get(member)?.ours)
  }
}

export interface HostFetchesOptions {
  readonly group: Group["Service"]
  readonly self: NodeId
  readonly limits: Limits
  readonly carrier: Carrier["Service"]
  readonly passes: FetchPasses
  readonly serve: (peer: NodeId, range: FetchRange) => FetchAnswer
  readonly answered: (id: number, result: FetchResult) => void
}

const UNREACHABLE: FetchResult = { kind: "unreachable" }

export class HostFetches {
  private readonly options: HostFetchesOptions
  private readonly channels = new Map<NodeId, FetchChannel>()
  private stopped = false

  constructor(options: HostFetchesOptions) {
    this.options = options
  }

  readonly ask = ({ id, peer, ...range }: FetchAsk): void => {
    const { group, self, passes, answered } = this.options
    const channel = this.channelTo(peer)
    const pass = passes.toAsk(peer)
    const done = (result: FetchResult): void => {
      if (this.stopped) return
      if (result.kind !== "given" || pass === undefined) return answered(id, result)
      const bytes = pass.open(range, result.bytes)
      // Whoever changed it, the member is no liar for it.
      answered(id, bytes === undefined ? UNREACHABLE : { kind: "given", bytes })
    }
    // Never within the call.
    if (channel === undefined || pass === undefined) return void setImmediate(done, UNREACHABLE)
    channel.ask({ groupDigest: group.digest, node: self, token: pass.token, ...range }, done)
  }

  readonly serve = ({ groupDigest, node, token, ...range }: FetchCall): FetchAnswer | Goodbye => {
    const { group, passes, serve } = this.options
    if (this.stopped) return { code: "not_ready", detail: "the node stops" }
    if (!bytesEqual(groupDigest, group.digest))
      return { code: "wrong_group", detail: "the digest is that of another group" }
    const pass = group.system.rank(node) < 0 ? undefined : passes.toServe(node)
    if (pass === undefined || !secretsEqual(pass.token, token))
      return { code: "unauthenticated", detail: `this is no token that node ${node} was given` }
    const answer = serve(node, range)
    if (answer.kind !== "given") return answer
    return { kind: "given", bytes: pass.seal(range, answer.bytes) }
  }

  stop(): void {
    this.stopped = true
    for (const channel of this.channels.values()) channel.close()
  }

  private channelTo(peer: NodeId): FetchChannel | undefined {
    const { group, carrier, limits } = this.options
    const open = this.channels.get(peer)
    if (open !== undefined) return open
    const channel = carrier.fetches?.(group.addresses.get(peer)!, limits)
    if (channel !== undefined) this.channels.set(peer, channel)
    return channel
  }
}
