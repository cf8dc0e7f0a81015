import { bytesEqual, hexOf } from "../base/bytes.ts"
import type { Goodbye } from "./goodbye.ts"
import type { Hello } from "./groupHello.ts"

/**
 * Whether two hellos may be one channel: same version, group, digest and protocols, not the same
 * member.
 * The `check` of every host begins with it; `undefined`: nothing against it.
 */
export const checkHello = (ours: Hello, theirs: Hello): Goodbye | undefined => {
  const [we, they] = [who(ours), who(theirs)]
  if (theirs.version !== ours.version) {
    const what = `${they} speaks link version ${theirs.version}, ${we} speaks ${ours.version}`
    return { code: "unsupported_version", detail: `${what}: run one version of Quorate on both` }
  }
  if (theirs.group !== ours.group) {
    const what = `${they} is of group "${theirs.group}", ${we} of group "${ours.group}"`
    return { code: "wrong_group", detail: `${what}: check the address in the group file` }
  }
  if (!bytesEqual(theirs.groupDigest, ours.groupDigest)) {
    const [here, there] = [short(ours.groupDigest), short(theirs.groupDigest)]
    const what = `group "${ours.group}" has digest ${there} at ${they}, ${here} at ${we}`
    const differs = "epoch, faults, f, durable, the node ids or keys differ"
    return { code: "wrong_group", detail: `${what}: ${differs}; use one group file everywhere` }
  }
  const told = theirs.protocols !== undefined && ours.protocols !== undefined
  if (told && !bytesEqual(theirs.protocols, ours.protocols)) {
    const what = `${they} runs other services, methods or lanes than ${we} of "${ours.group}"`
    return { code: "wrong_group", detail: `${what}: run one version of the program on all` }
  }
  if (theirs.node !== 0 && theirs.node === ours.node) {
    const what = `both sides are node ${ours.node} of group "${ours.group}"`
    return { code: "wrong_group", detail: `${what}: give every process its own id` }
  }
  return undefined
}

/**
 * Whether a member still shows the store it first showed. With another one it does not know what it
 * said, and might say otherwise now. `first`: hexadecimal; undefined when it never showed one.
 */
export const checkStore = (first: string | undefined, theirs: Hello): Goodbye | undefined => {
  if (first === undefined || first === hexOf(theirs.storeId)) return undefined
  const stores = `${short(theirs.storeId)}, first ${first.slice(0, 16)}`
  const what = `${who(theirs)} shows another store than before (${stores}): it lost what it said`
  const remedy = "put its data folder back, or start the whole group anew under another name"
  return { code: "wrong_store", detail: `${what}; ${remedy}` }
}

const who = (hello: Hello): string => (hello.node === 0 ? "a client" : `node ${hello.node}`)

/** Eight bytes in hexadecimal: enough to see a difference. */
const short = (bytes: Uint8Array): string => hexOf(bytes.subarray(0, 8))
