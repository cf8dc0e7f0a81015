import type { Goodbye, Hello } from "./frame.ts"

/**
 * Whether two hellos may be one link: same version, same group, same digest, not the same member.
 * The `check` of every host begins with it; `undefined`: nothing against it.
 */
export const checkHello = (ours: Hello, theirs: Hello): Goodbye | undefined => {
  if (theirs.version !== ours.version) {
    return {
      code: "unsupported_version",
      detail: `${who(theirs)} speaks link version ${theirs.version}, ${who(ours)} speaks ${ours.version}: run one version of Quorate on both`
    }
  }
  if (theirs.group !== ours.group) {
    return {
      code: "wrong_group",
      detail: `${who(theirs)} is of group "${theirs.group}", ${who(ours)} of group "${ours.group}": check the address in the group file`
    }
  }
  if (!sameBytes(theirs.groupDigest, ours.groupDigest)) {
    return {
      code: "wrong_group",
      detail: `group "${ours.group}" has digest ${short(theirs.groupDigest)} at ${who(theirs)} and ${short(ours.groupDigest)} at ${who(ours)}: use the same group file everywhere`
    }
  }
  if (theirs.node !== 0 && theirs.node === ours.node) {
    return {
      code: "wrong_group",
      detail: `both sides are node ${ours.node} of group "${ours.group}": give every process its own id`
    }
  }
  return undefined
}

const who = (hello: Hello): string => (hello.node === 0 ? "a client" : `node ${hello.node}`)

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])

/** Eight bytes in hexadecimal: enough to see a difference. */
const short = (bytes: Uint8Array): string =>
  Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("")
