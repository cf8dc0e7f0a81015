/** The way of a client to one node over a link that is dialled again and again. */
import type { NodeId } from "../../base/NodeId.ts"
import type { Channel } from "../../link/channel.ts"
import type { Goodbye } from "../../link/goodbye.ts"
import type { HostLinks, Keep } from "../../link/hostLinks.ts"
import type { ClientMessage, Message, Reply } from "../../server/Message.ts"
import type { NodeChannel, NodeChannelOptions } from "../Carrier.ts"
import type { Group } from "../Group.ts"
import { checkIdentity, dialsMember, type Identity, lineTo } from "./identity.ts"

interface LinkChannelOptions extends NodeChannelOptions {
  readonly links: HostLinks
  readonly group: Group["Service"]
  readonly node: NodeId
  readonly identity: Identity
}

export const CLIENT_ENDS: Goodbye = { code: "cancelled", detail: "the client ends" }

export class LinkChannel implements NodeChannel {
  private readonly keep: Keep
  private channel: Channel | undefined

  constructor(options: LinkChannelOptions) {
    const { address, hello, links, group, node, identity } = options
    const handshake = () => dialsMember(group, node, identity)
    this.keep = links.keep(
      { name: lineTo(group, node), address, handshake },
      {
        hello: () => hello,
        check: (theirs, { session }) =>
          options.check(theirs) ?? checkIdentity(group, theirs, session),
        opened: (channel, theirs) => {
          this.channel = channel
          options.up(theirs)
        },
        receive: (channel, message: Message) => {
          options.reply(message as Reply)
          channel.release()
        },
        closed: (channel, end) => {
          if (this.channel !== channel && this.channel !== undefined) return
          this.channel = undefined
          options.down(end.text, end.goodbye)
        },
        failed: (end) => options.down(end.text, end.goodbye)
      }
    )
  }
  send(message: ClientMessage): boolean {
    if (this.channel === undefined) return false
    this.channel.send(message)
    return true
  }
  tick(): void {}
  close(): void {
    this.keep.close(CLIENT_ENDS)
  }
}
