/** What a host says to those who open a channel of an epoch that has ended there. */
import { hexOf, NO_BYTES } from "../../base/bytes.ts"
import type { NodeId } from "../../base/NodeId.ts"
import type { ChannelPort } from "../../link/channel.ts"
import {
  type Hello,
  INCARNATION_BYTES,
  LINK_VERSION,
  STORE_ID_BYTES
} from "../../link/groupHello.ts"
import { checkHello } from "../../link/hello.ts"

interface Ended {
  readonly group: string
  readonly self: NodeId
  /** In hexadecimal. */
  readonly digest: string
}

export const endedPort = ({ group, self, digest }: Ended): ChannelPort => {
  const hello: Hello = {
    version: LINK_VERSION,
    group,
    groupDigest: Uint8Array.from(digest.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)),
    node: self,
    clientKey: NO_BYTES,
    storeId: new Uint8Array(STORE_ID_BYTES),
    incarnation: new Uint8Array(INCARNATION_BYTES),
    horizonMs: 0,
    fetchToken: NO_BYTES
  }
  return {
    hello: () => hello,
    check: (theirs) =>
      hexOf(theirs.groupDigest) === digest
        ? { code: "epoch_gone", detail: `the epoch has ended at node ${self}` }
        : checkHello(hello, theirs),
    opened: () => {},
    receive: () => {},
    closed: () => {}
  }
}
