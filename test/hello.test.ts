import { describe, expect, it } from "vitest"
import type { Hello } from "../src/link/groupHello.ts"
import { checkHello } from "../src/link/hello.ts"
import { helloOf } from "./support/link.ts"

describe("two hellos", () => {
  it("are one link when version, group and digest are the same", () => {
    expect(checkHello(helloOf(1), helloOf(2))).toBeUndefined()
    expect(checkHello(helloOf(1), helloOf(0))).toBeUndefined()
    expect(checkHello(helloOf(0), helloOf(1))).toBeUndefined()
  })

  const ab = new Uint8Array(32).fill(0xab)
  const refused: ReadonlyArray<readonly [string, Hello, string, string]> = [
    [
      "versions",
      helloOf(2, { version: 9 }),
      "unsupported_version",
      "node 2 speaks link version 9, node 1 speaks 2: run one version of Quorate on both"
    ],
    [
      "groups",
      helloOf(0, { group: "h" }),
      "wrong_group",
      'a client is of group "h", node 1 of group "g": check the address in the group file'
    ],
    [
      "digests",
      helloOf(2, { groupDigest: ab }),
      "wrong_group",
      'group "g" has digest abababababababab at node 2, 0101010101010101 at node 1: ' +
        "epoch, faults, f, durable, the node ids or keys differ; use one group file everywhere"
    ],
    [
      "protocols",
      helloOf(2, { protocols: ab }),
      "wrong_group",
      'node 2 runs other services, methods or lanes than node 1 of "g": ' +
        "run one version of the program on all"
    ],
    [
      "members that are one",
      helloOf(1),
      "wrong_group",
      'both sides are node 1 of group "g": give every process its own id'
    ]
  ]
  for (const [what, theirs, code, detail] of refused) {
    it(`are refused, with what and what to do, for ${what}`, () => {
      const protocols = new Uint8Array(32).fill(0xcd)
      expect(checkHello(helloOf(1, { protocols }), theirs)).toEqual({ code, detail })
    })
  }
})
