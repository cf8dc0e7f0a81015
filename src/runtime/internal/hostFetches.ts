/** What one node fetches from the hosts of other members, and what it lets them fetch. */
import { bytesEqual } from "../../base/bytes.ts"
import type { Limits } from "../../base/limits.ts"
import type { NodeId } from "../../base/NodeId.ts"
import type { Channel } from "../../link/channel.ts"
import type { FetchAsk, FetchResult } from "../../link/fetchCore.ts"
import type { FetchAnswer, FetchRange } from "../../link/fetchStore.ts"
import type { Goodbye } from "../../link/goodbye.ts"
import type { Carrier, FetchCall, FetchChannel } from "../Carrier.ts"
import type { Group } from "../Group.ts"

/** What members tell each other over a link so that they know each other beside it. */
export interface FetchTokens {
  /** What the member told this node; absent: they have no link. */
  readonly of: (member: NodeId) => Uint8Array | undefined
  /** Whether this node told the member that. */
  readonly admits: (member: NodeId, token: Uint8Array) => boolean
}

/** By the channels that stand. */
export const tokensOf = (channels: ReadonlyMap<NodeId, Channel>): FetchTokens => ({
  of: (member) => {
    const token = channels.get(member)?.theirs?.fetchToken
    return token?.length === 0 ? undefined : token
  },
  admits: (member, token) => {
    const given = channels.get(member)?.ours.fetchToken
    return given !== undefined && given.length > 0 && bytesEqual(given, token)
  }
})

export interface HostFetchesOptions {
  readonly group: Group["Service"]
  readonly self: NodeId
  readonly limits: Limits
  readonly carrier: Carrier["Service"]
  readonly tokens: FetchTokens
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
    const { group, self, tokens, answered } = this.options
    const channel = this.channelTo(peer)
    const token = tokens.of(peer)
    const done = (result: FetchResult): void => {
      if (!this.stopped) answered(id, result)
    }
    // Never within the call.
    if (channel === undefined || token === undefined) return void setImmediate(done, UNREACHABLE)
    channel.ask({ groupDigest: group.digest, node: self, token, ...range }, done)
  }

  readonly serve = ({ groupDigest, node, token, ...range }: FetchCall): FetchAnswer | Goodbye => {
    const { group, tokens, serve } = this.options
    if (this.stopped) return { code: "not_ready", detail: "the node stops" }
    if (!bytesEqual(groupDigest, group.digest))
      return { code: "wrong_group", detail: "the digest is that of another group" }
    if (group.system.rank(node) < 0 || !tokens.admits(node, token))
      return { code: "unauthenticated", detail: `this is no token that node ${node} was given` }
    return serve(node, range)
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
