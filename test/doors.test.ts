/** Which of several nodes at one address takes a call that comes outside any link. */
import { assert, describe, it } from "vitest"
import type { UnaryCall } from "../src/runtime/Carrier.ts"
import type { Host } from "../src/runtime/Host.ts"
import { Doors, type NodeDoor } from "../src/runtime/internal/doors.ts"
import { ReliableBroadcast } from "./rim/support/services.ts"

const METHOD = "rb.v1.ReliableBroadcast/Broadcast"
const IDS = { session: "", index: 1, ackedBelow: 1 }
const call = (ids?: object | "oneWay"): UnaryCall =>
  ({ method: METHOD, body: new Uint8Array(0), deadlineMs: 1, ...(ids && { ids }) }) as UnaryCall

const doors = (
  ...nodes: ReadonlyArray<readonly [name: string, epoch: number, answers?: boolean]>
) => {
  const all = new Doors({} as Host)
  const taken: Array<string> = []
  for (const [name, epoch, answers] of nodes) {
    const door: Partial<NodeDoor> = {
      group: { name, epoch, digest: Uint8Array.of(epoch) },
      services: [ReliableBroadcast.descriptor],
      ...(answers !== undefined && { answers: () => answers }),
      unary: () => {
        taken.push(`${name} ${epoch}`)
        return () => {}
      }
    }
    all.add(door as NodeDoor)
  }
  const refused: Array<string> = []
  const make = (it: UnaryCall) => all.unary(it, ({ detail }) => refused.push(detail!))
  return { make, taken, refused }
}

describe("a call outside links, at a host in several epochs of its group", () => {
  it("of a stranger goes to the newest that takes calls", () => {
    const { make, taken } = doors(["rb", 2, true], ["rb", 3, false], ["rb", 1, true])
    make(call())
    make(call("oneWay"))
    assert.deepEqual(taken, ["rb 2", "rb 2"])
  })

  it("of a stranger goes to an announced one where there is no other, which says to wait", () => {
    const { make, taken } = doors(["rb", 2, false])
    make(call())
    assert.deepEqual(taken, ["rb 2"])
  })

  it("with its ids goes to the first: in a later one it would be another call", () => {
    const { make, taken } = doors(["rb", 2, true], ["rb", 1, true])
    make(call(IDS))
    assert.deepEqual(taken, ["rb 1"])
  })

  it("is refused where two groups run its service, whichever epoch", () => {
    const { make, taken, refused } = doors(["rb", 1], ["rb", 2], ["other", 1])
    make(call())
    assert.deepEqual(taken, [])
    assert.match(refused[0]!, /groups "rb" and "other" both run it: call over a link$/)
  })
})
