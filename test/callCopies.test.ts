/** Which node gets what and when: copies of calls, refusals for now, bodies, one-way calls. */
import { describe, expect, it } from "vitest"
import { recordMarks } from "../src/base/mark.ts"
import { all, first, majority } from "../src/quorum/Policy.ts"
import type { CallKind } from "../src/server/Protocol.ts"
import { answerOf, bytes, CallWorld, EMPTY, nodesOf, textOf } from "./support/callWorld.ts"

describe("copies", () => {
  it("a client started before its servers waits for them", () => {
    const world = new CallWorld()
    const call = world.call()
    world.pass(2_000)
    expect(world.take()).toEqual([])
    world.up(1, 2)
    const asked = world.asked()
    expect(nodesOf(asked)).toEqual([1, 2])
    for (const copy of asked) world.reply(copy, 5)
    expect(answerOf(call)).toEqual([
      { from: 1, message: 5 },
      { from: 2, message: 5 }
    ])
  })

  it("a request goes to every target whose link is up, and to the others as they come up", () => {
    const world = new CallWorld({ nodes: 4 }).up(1, 2, 4)
    world.call({ targets: [4, 1, 3] })
    expect(nodesOf(world.asked())).toEqual([1, 4])
    world.up(3)
    expect(nodesOf(world.asked())).toEqual([3])
  })

  it.each<CallKind>(["rpc", "quorum", "multiparty"])(
    "a %s copy lost with a broken link is sent again on link up, as it was",
    (call) => {
      const world = new CallWorld().up(1, 2, 3)
      world.call({ call, policy: all() })
      const [one, two, three] = world.asked()
      world.reply(one!, 5)
      world.down(1)
      world.down(2)
      world.pass(700)
      expect(world.take()).toEqual([])
      world.up(1, 2)
      const [again, ...more] = world.asked()
      expect(more).toEqual([])
      expect(again).toEqual({ to: 2, message: { ...two!.message, deadlineMs: 4_300 } })
      expect(three!.message.body).toBe(again!.message.body)
    }
  )

  it("a request without an answer is not sent again while the link lasts", () => {
    const world = new CallWorld().up(1, 2, 3)
    const call = world.call({ call: "multiparty" })
    expect(world.asked()).toHaveLength(3)
    world.pass(4_999)
    expect(world.take()).toEqual([])
    expect(call.result).toBeUndefined()
  })

  it("a copy that the link did not take is sent once the link is up", () => {
    const world = new CallWorld().up(1, 2, 3)
    world.links.delete(2)
    world.call()
    expect(nodesOf(world.asked())).toEqual([1, 3])
    world.down(2)
    world.up(2)
    expect(nodesOf(world.asked())).toEqual([2])
  })

  it("a new link that replaces one still up gets what may be lost with it", () => {
    const world = new CallWorld().up(1, 2, 3)
    world.call()
    world.asked()
    world.up(2)
    expect(nodesOf(world.asked())).toEqual([2])
  })

  it("a request tells how long its caller will still wait", () => {
    const world = new CallWorld().up(1)
    world.call({ deadlineMs: 1_000.5 })
    expect(world.asked()[0]!.message.deadlineMs).toBe(1_001)
    world.pass(1_000)
    world.up(2)
    expect(world.asked()[0]!.message.deadlineMs).toBe(1)
  })

  it("every node may get bytes of its own", () => {
    const world = new CallWorld().up(1, 2, 3)
    world.call({ body: (node) => bytes(node * 10) })
    expect(world.asked().map(({ message }) => message.body[0])).toEqual([10, 20, 30])
    world.down(3)
    world.up(3)
    expect(world.asked().map(({ message }) => message.body[0])).toEqual([30])
  })
})

describe("refusals for now", () => {
  it("are tried again at that node after an exponential back-off", () => {
    for (const [random, delays] of [
      [() => 0, [100, 100, 100, 100, 100, 100]],
      [(below: number) => below - 1, [200, 400, 800, 1_500, 1_500, 1_500]]
    ] as const) {
      const world = new CallWorld({ random }).up(1, 2, 3)
      world.call({ deadlineMs: 60_000 })
      const names = world.asked()
      let copy = names[1]!
      for (const delay of delays) {
        world.fail(copy, "overloaded")
        world.pass(delay - 1)
        expect(world.take()).toEqual([])
        world.pass(1)
        copy = world.asked()[0]!
        expect(copy).toMatchObject({
          to: 2,
          message: { index: 1, session: names[1]!.message.session }
        })
      }
    }
  })

  it.each(["overloaded", "too_early", "redirect", "window", "not_ready"] as const)(
    "%s is one",
    (code) => {
      const world = new CallWorld().up(1, 2, 3)
      const call = world.call({ policy: all() })
      const asked = world.asked()
      world.fail(asked[0]!, code)
      world.pass(100)
      expect(nodesOf(world.asked())).toEqual([1])
      for (const copy of asked) world.reply(copy, 1)
      expect(call.result?.ok).toBe(true)
    }
  )

  it("the deadline ends them", () => {
    const world = new CallWorld().up(1, 2, 3)
    const call = world.call({ deadlineMs: 350 })
    for (let i = 0; i < 10; i++) {
      for (const copy of world.asked()) world.fail(copy, "overloaded", { detail: "inbox full" })
      world.pass(50)
    }
    expect(textOf(call.result)).toBe(
      "deadline_exceeded 0/2; " +
        [1, 2, 3]
          .map(
            (node) =>
              `${node} pending (overloaded: refused 4 times, last: inbox full; to be tried again)`
          )
          .join("; ")
    )
  })

  it("the deadline names the node that was redirected to", () => {
    const world = new CallWorld().up(1, 2, 3)
    const call = world.call({ deadlineMs: 10, targets: [2], policy: first() })
    for (const copy of world.asked()) world.fail(copy, "redirect", { node: 1 })
    world.pass(10)
    expect(textOf(call.result)).toBe(
      "deadline_exceeded 0/1; 2 pending (redirect: refused once, last: redirected to node 1; " +
        "to be tried again)"
    )
  })

  it("a back-off that ends without a link waits for the link", () => {
    const world = new CallWorld().up(1, 2, 3)
    world.call()
    world.fail(world.asked()[0]!, "not_ready")
    world.down(1)
    world.pass(1_000)
    expect(world.take()).toEqual([])
    world.up(1)
    expect(nodesOf(world.asked())).toEqual([1])
  })

  it("a link that comes up does not cut a back-off short", () => {
    const world = new CallWorld().up(1, 2, 3)
    world.call()
    world.fail(world.asked()[0]!, "overloaded")
    world.down(1)
    world.up(1)
    expect(world.take()).toEqual([])
    world.pass(100)
    expect(nodesOf(world.asked())).toEqual([1])
  })

  it("redirect tries the named node at once where it backs off, and the other later", () => {
    const world = new CallWorld().up(1, 2, 3)
    world.call({ call: "multiparty" })
    const [one, two] = world.asked()
    world.fail(two!, "overloaded")
    const marks = recordMarks(() => world.fail(one!, "redirect", { node: 2 }))
    expect(marks.get("redirected to a node that backs off")).toBe(1)
    expect(nodesOf(world.asked())).toEqual([2])
    world.pass(100)
    expect(nodesOf(world.asked())).toEqual([1])
  })

  it("redirect to a node that has the request, has answered, or is no target sends nothing", () => {
    const world = new CallWorld({ nodes: 4 }).up(1, 2, 3, 4)
    world.call({ targets: [1, 2, 3], policy: all() })
    const [one, two, three] = world.asked()
    world.reply(three!, 1)
    for (const node of [1, 2, 3, 4, 5]) world.fail(one!, "redirect", { node })
    world.fail(two!, "redirect")
    expect(world.take()).toEqual([])
  })

  it("two nodes that redirect to each other do not make the client spin", () => {
    const world = new CallWorld().up(1, 2)
    world.call({ deadlineMs: 60_000 })
    let copies = 0
    for (let ms = 0; ms < 1_000; ms++) {
      for (let asked = world.asked(); asked.length > 0; asked = world.asked()) {
        copies += asked.length
        for (const copy of asked) world.fail(copy, "redirect", { node: 3 - copy.to })
      }
      world.pass(1)
    }
    expect(copies).toBeLessThan(50)
  })
})

describe("bodies", () => {
  it.each([[[1]], [[2]], [[1, 2]], [[1, 3]]])(
    "a node without one is no target: without %j",
    (without) => {
      const world = new CallWorld().up(1, 2, 3)
      const called = [1, 2, 3].filter((node) => !without.includes(node))
      const body = (node: number) => (without.includes(node) ? undefined : bytes(1))
      const call = world.call({ body, policy: all() })
      const asked = world.asked()
      expect(nodesOf(asked)).toEqual(called)
      for (const copy of asked) world.reply(copy, 1)
      expect(answerOf(call)).toEqual(called.map((from) => ({ from, message: 1 })))
      const failing = world.call({ body, policy: majority() })
      for (const copy of world.asked()) world.fail(copy, "invalid")
      const outcomes = failing.result?.ok === false ? failing.result.outcomes : []
      expect(outcomes.map(({ node }) => node)).toEqual(called)
    }
  )

  it("a call whose nodes are all skipped is answered by nobody", () => {
    const world = new CallWorld().up(1, 2, 3)
    const call = world.call({ body: () => undefined, policy: first() })
    expect(textOf(call.result)).toBe("unavailable 0/1; ")
  })

  it("a body above bodyBytesMax is not sent", () => {
    const world = new CallWorld({ limits: { bodyBytesMax: 4 } }).up(1, 2, 3)
    const body = (node: number) => new Uint8Array(node === 1 ? 5 : 4)
    expect(textOf(world.call({ body, policy: all() }).result)).toBe(
      "too_large 0/3; 1 failed (too_large: 5 bytes, at most 4); " +
        "2 pending (not sent: earlier calls come first); " +
        "3 pending (not sent: earlier calls come first)"
    )
    expect(world.take()).toEqual([])
    world.call({ body })
    expect(nodesOf(world.asked())).toEqual([2, 3])
  })
})

describe("one-way calls", () => {
  it("are done when handed to the link of every target", () => {
    const world = new CallWorld().up(1, 2)
    const call = world.call({ call: "multicast" })
    expect(world.take().map(({ to, message }) => [to, message.kind])).toEqual([
      [1, "oneWay"],
      [2, "oneWay"]
    ])
    expect(call.result).toBeUndefined()
    world.up(3)
    expect(nodesOf(world.take())).toEqual([3])
    expect(call.result).toEqual({ ok: true, answer: undefined })
    expect(world.core.size()).toEqual(EMPTY)
  })

  it("are not repeated over a new link", () => {
    const world = new CallWorld().up(1, 2)
    const call = world.call({ call: "multicast", targets: [1, 3] })
    expect(nodesOf(world.take())).toEqual([1])
    world.down(1)
    world.up(1)
    expect(world.take()).toEqual([])
    expect(call.result).toBeUndefined()
  })

  it("fail at their deadline with what each node's state is", () => {
    const world = new CallWorld().up(1)
    world.down(2, "connection refused")
    const call = world.call({ call: "multicast", deadlineMs: 50 })
    world.pass(50)
    expect(textOf(call.result)).toBe(
      "deadline_exceeded 1/3; 1 replied; 2 pending (no link: connection refused); " +
        "3 pending (no link: not connected yet)"
    )
  })

  it("go to whom they have a body for, and are done where that is nobody", () => {
    const world = new CallWorld().up(1, 2, 3)
    const some = world.call({
      call: "multicast",
      body: (node) => (node === 2 ? bytes(1) : undefined)
    })
    expect(nodesOf(world.take())).toEqual([2])
    const none = world.call({ call: "multicast", body: () => undefined })
    expect([some.result?.ok, none.result?.ok]).toEqual([true, true])
  })

  it("are sent to nobody where one body is too large", () => {
    const world = new CallWorld({ limits: { bodyBytesMax: 4 } }).up(1, 2, 3)
    const body = (node: number) => new Uint8Array(node === 1 ? 5 : 4)
    const call = world.call({ call: "multicast", body })
    expect(call.result).toMatchObject({ ok: false, code: "too_large", needed: 3, got: 0 })
    expect(world.take()).toEqual([])
  })
})
