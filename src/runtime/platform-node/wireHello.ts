/** A hello between the link core's form and the generated one. */
import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { type Hello as WireHello, HelloSchema } from "../../../gen/quorate/v1/link_pb.ts"
import type { Hello } from "../../link/groupHello.ts"

export const helloToWire = (hello: Hello): WireHello => {
  const { horizonMs, ...rest } = hello
  const init: MessageInitShape<typeof HelloSchema> = { ...rest, horizonMs: BigInt(horizonMs) }
  return create(HelloSchema, init)
}

/** `undefined`: its numbers are not ours. Lengths are the receiver's `check` to judge. */
export const helloFromWire = (hello: WireHello): Hello | undefined => {
  const horizonMs = Number(hello.horizonMs)
  if (!Number.isSafeInteger(horizonMs)) return undefined
  const { version, group, groupDigest, node, clientKey, storeId, incarnation } = hello
  const { fetchToken, protocols } = hello
  return {
    version,
    group,
    groupDigest,
    node,
    clientKey,
    storeId,
    incarnation,
    horizonMs,
    fetchToken,
    ...(protocols.length > 0 && { protocols })
  }
}
