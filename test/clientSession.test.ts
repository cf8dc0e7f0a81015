/** How calls are named: sessions, their windows, when they open and are given up. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { recordMarks } from "../src/base/mark.ts"
import { all, first } from "../src/quorum/Policy.ts"
import { type ClientSession, SessionPool } from "../src/link/clientSession.ts"
import { CALL_INDEX_MAX } from "../src/server/laneKey.ts"
import type { CallKind } from "../src/server/Protocol.ts"
import {
  type Asked,
  answerOf,
  bytes,
  CallWorld,
  EMPTY,
  group,
  indexesOf,
  nodesOf,
  openedOf,
  rpc,
  START_MS,
  textOf
} from "./support/callWorld.ts"

const AHEAD = LIMITS.sessionAheadMsMax
const sessionsOf = (asked: ReadonlyArray<Asked>) =>
  new Set(asked.map(({ message }) => message.session)).size

describe("numbers", () => {
  it.each<CallKind>(["multiparty", "quorum", "rpc"])(
    "%s calls are numbered 1, 2, 3 … and carry the lowest index that is not settled",
    (call) => {
      const world = new CallWorld().up(1, 2, 3)
      const start = () => {
        const caller = world.call({ call, targets: [2], policy: first() })
        return { caller, copy: world.asked()[0]! }
      }
      const calls = [start(), start(), start()]
      expect(indexesOf(calls.map(({ copy }) => copy))).toEqual([1, 2, 3])
      world.reply(calls[1]!.copy, 1)
      expect(start().copy.message).toMatchObject({ index: 4, ackedBelow: 1 })
      world.core.cancel(calls[0]!.caller.id)
      world.take()
      expect(start().copy.message).toMatchObject({ index: 5, ackedBelow: 3 })
      world.fail(calls[2]!.copy, "invalid")
      expect(start().copy.message).toMatchObject({ index: 6, ackedBelow: 4 })
    }
  )

  it("end: a session whose indexes have run out is followed by another", () => {
    const byKey = new Map<string, ClientSession<string>>()
    let keys = 0
    const pool = new SessionPool<string>({
      limits: LIMITS,
      nowMs: () => START_MS,
      key: () => `session ${++keys}`,
      byKey,
      above: () => 0
    })
    const session = pool.pick()!
    session.next = session.ackedBelow = CALL_INDEX_MAX - 1
    expect([session.take("a"), session.take("b")]).toEqual([CALL_INDEX_MAX - 1, CALL_INDEX_MAX])
    expect(session.room).toBe(false)
    const next = pool.pick()!
    expect([next.key, next.take("c")]).toEqual(["session 2", 1])
    // Its open calls are found by their replies, and with the last of them it is forgotten.
    expect([...byKey.keys()]).toEqual(["session 1", "session 2"])
    for (const index of [CALL_INDEX_MAX, CALL_INDEX_MAX - 1]) pool.settle(session, index)
    expect([...byKey.keys()]).toEqual(["session 2"])
    expect(pool.pick()).toBe(next)
  })

  it("a copy sent again carries what is settled by then", () => {
    const world = new CallWorld().up(1, 2, 3)
    const [one] = [rpc(world, 1), rpc(world, 1)]
    const [, two] = world.asked()
    world.core.cancel(one!.id)
    world.take()
    world.fail(two!, "window")
    world.pass(100)
    expect(world.asked()[0]!.message).toMatchObject({ index: 2, ackedBelow: 2 })
  })

  it("a multiparty call has one name, another call one of its own at each node", () => {
    const world = new CallWorld().up(1, 2, 3)
    rpc(world, 2)
    world.take()
    group(world)
    const shared = world.asked()
    expect(sessionsOf(shared)).toBe(1)
    expect(indexesOf(shared)).toEqual([1, 1, 1])
    expect(shared[0]!.message).toBe(shared[2]!.message)
    world.call()
    const own = world.asked()
    expect(sessionsOf([...shared, ...own])).toBe(4)
    expect(indexesOf(own)).toEqual([1, 2, 1])
  })
})

describe("sessions open", () => {
  it("for multiparty calls after the hellos of a quorum", () => {
    const world = new CallWorld({ nodes: 4, model: "byzantine" }).up(1, 2)
    const call = group(world)
    world.up(2)
    expect(world.take()).toEqual([])
    expect(textOf(call.result)).toBe("open")
    world.up(4)
    expect(nodesOf(world.asked())).toEqual([1, 2, 4])
    world.up(3)
    expect(nodesOf(world.asked())).toEqual([3])
  })

  it("for other calls after the hello of the node they go to", () => {
    const world = new CallWorld().up(2)
    const call = rpc(world, 2)
    world.call({ call: "quorum" })
    const asked = world.asked()
    expect(nodesOf(asked)).toEqual([2, 2])
    world.reply(asked[0]!, 1)
    expect(call.result?.ok).toBe(true)
  })

  it("and until then a multiparty call that gives up says what it waited for", () => {
    const world = new CallWorld().up(1)
    const call = world.call({ call: "multiparty", deadlineMs: 10 })
    world.pass(10)
    expect(textOf(call.result)).toBe(
      "deadline_exceeded 0/2; " +
        "1 pending (waiting for links to a quorum: 1 more node must answer); " +
        "2 pending (no link: not connected yet); 3 pending (no link: not connected yet)"
    )
  })

  it("now, above the highest horizon told that is at most sessionAheadMsMax ahead", () => {
    const opened = (horizons: ReadonlyArray<number>) => {
      const world = new CallWorld()
      horizons.forEach((horizonMs, i) => world.hello(i + 1, horizonMs))
      group(world)
      return openedOf(world.asked()[0]!) - START_MS
    }
    expect(opened([0, 0, 0])).toBe(0)
    expect(opened([START_MS - 1, 0, 0])).toBe(0)
    expect(opened([START_MS, 0, 0])).toBe(1)
    expect(opened([START_MS + 70, START_MS + 500, 0])).toBe(501)
    expect(opened([START_MS + 70, START_MS + AHEAD, 0])).toBe(AHEAD + 1)
    expect(opened([START_MS + 70, START_MS + AHEAD + 1, 0])).toBe(71)
    expect(opened([START_MS + AHEAD + 1, 0, 0])).toBe(0)
    // Their clocks are ahead of the client's, and they have just begun.
    expect(opened([START_MS + AHEAD + 50, START_MS + AHEAD + 70, 0])).toBe(AHEAD + 71)
    expect(opened([START_MS + AHEAD + 50, 2 ** 48 - 2, 0])).toBe(AHEAD + 51)
    expect(opened([2 ** 48 - 2, 2 ** 48 - 1, 2 ** 50])).toBe(0)
  })

  it("above its own horizon where a call goes to one node, whatever others say", () => {
    const world = new CallWorld()
    world.hello(1, START_MS + 5_000)
    world.hello(2, START_MS + 70)
    rpc(world, 2)
    expect(openedOf(world.asked()[0]!)).toBe(START_MS + 71)
    world.hello(3, START_MS + AHEAD + 50)
    rpc(world, 3)
    expect(openedOf(world.asked()[0]!)).toBe(START_MS + AHEAD + 51)
  })

  it("in the order of the calls", () => {
    const world = new CallWorld()
    const targets = [[1], [1, 2, 3], [3], [2]]
    for (const [i, to] of targets.entries()) {
      world.call({ call: "multiparty", targets: to, body: () => bytes(i) })
    }
    world.up(1, 2)
    const asked = world.asked()
    expect(asked.map(({ to, message }) => [to, message.index, message.body[0]])).toEqual([
      [1, 1, 0],
      [1, 2, 1],
      [2, 2, 1],
      [2, 3, 3]
    ])
    world.up(3)
    expect(indexesOf(world.asked())).toEqual([2, 4])
  })
})

describe("sessions are given up", () => {
  it("after session_expired: that node failed, sent calls stay, later ones go on anew", () => {
    const world = new CallWorld().up(1, 2, 3)
    const before = world.call({ call: "multiparty" })
    const [one, two, three] = world.asked()
    world.fail(one!, "session_expired", { horizonMs: START_MS + 40 })
    const after = world.call({ call: "multiparty" })
    const asked = world.asked()
    expect(asked.map(openedOf)).toEqual([START_MS + 41, START_MS + 41, START_MS + 41])
    expect(indexesOf(asked)).toEqual([1, 1, 1])
    world.reply(two!, 1)
    expect(world.core.size()["sessions"]).toBe(2)
    world.reply(three!, 1)
    expect(answerOf(before)).toHaveLength(2)
    expect(world.core.size()["sessions"]).toBe(1)
    for (const copy of asked) world.reply(copy, 1)
    expect(after.result?.ok).toBe(true)
  })

  it("session_expired below the session's own opening ends nothing", () => {
    const world = new CallWorld().up(1, 2, 3)
    group(world)
    const [one] = world.asked()
    world.fail(one!, "session_expired", { horizonMs: START_MS - 1 })
    group(world)
    expect(world.asked()[0]!.message).toMatchObject({ session: one!.message.session, index: 2 })
  })

  it("the horizon thief: a horizon too far ahead, or one after the other, changes little", () => {
    const world = new CallWorld({ nodes: 4, model: "byzantine" }).up(1, 2, 3, 4)
    const marks = recordMarks(() => {
      const sessions = new Set<string>()
      for (let ms = 0; ms < 6_000; ms++) {
        group(world)
        const [, , , thief] = world.asked()
        sessions.add(thief!.message.session)
        const horizonMs = ms % 2 === 0 ? openedOf(thief!) : world.nowMs + AHEAD + 1 + ms
        world.fail(thief!, "session_expired", { horizonMs })
        world.reply({ ...thief!, to: 1 }, 1)
        world.pass(1)
      }
      expect(sessions.size).toBeLessThanOrEqual(1 + 6_000 / LIMITS.retryMsMax)
    })
    expect(marks.get("a horizon too far ahead")).toBeGreaterThan(0)
    expect(marks.get("a horizon too soon")).toBeGreaterThan(0)
    expect(world.core.size()).toEqual({ ...EMPTY, sessions: 1 })
  })

  it("by a hello above them: a node that lost its memory gets none of their later calls", () => {
    const world = new CallWorld().up(1, 2, 3)
    world.call({ call: "multiparty" })
    world.call()
    const before = world.asked()
    world.down(3)
    world.hello(3, START_MS + AHEAD)
    expect(world.asked().map(({ message }) => message.session)).toEqual([
      before[2]!.message.session,
      before[5]!.message.session
    ])
    world.call({ call: "multiparty" })
    world.call()
    const after = world.asked()
    expect(after.map((copy) => openedOf(copy) - START_MS)).toEqual([
      ...[AHEAD + 1, AHEAD + 1, AHEAD + 1],
      ...[0, 0, AHEAD + 1]
    ])
  })

  it("a multiparty call that oneHonest nodes have forgotten is outcome_unknown", () => {
    const expired = (world: CallWorld, count: number) => {
      world.up(1, 2, 3, 4)
      const call = world.call({ call: "multiparty", policy: all() })
      for (const copy of world.asked().slice(0, count)) {
        if (call.result === undefined) world.fail(copy, "session_expired", { horizonMs: START_MS })
      }
      return textOf(call.result).split(" ")[0]
    }
    expect(expired(new CallWorld({ nodes: 4 }), 1)).toBe("outcome_unknown")
    expect(expired(new CallWorld({ nodes: 4, model: "byzantine" }), 1)).toBe("session_expired")
  })

  it("it ends as soon as the nodes that have not forgotten it are no quorum", () => {
    const endsAfter = (model: "crash" | "byzantine") => {
      const world = new CallWorld({ nodes: 4, model }).up(1, 2, 3, 4)
      const call = group(world)
      let after = 0
      for (const copy of world.asked()) {
        if (call.result !== undefined) break
        world.fail(copy, "session_expired", { horizonMs: START_MS })
        after++
      }
      return [after, textOf(call.result).split(" ")[0]]
    }
    // Of 4, 3 are a quorum in both; 2 of them are more than the one that may lie.
    expect(endsAfter("crash")).toEqual([2, "outcome_unknown"])
    expect(endsAfter("byzantine")).toEqual([2, "outcome_unknown"])
  })

  it("one node alone that forgot it: the others answer, or the deadline tells", () => {
    const world = new CallWorld({ nodes: 5 }).up(1, 2, 3, 4, 5)
    const [answered, late] = [group(world), group(world)]
    const asked = world.asked()
    world.fail(asked[0]!, "session_expired", { horizonMs: START_MS })
    world.fail(asked[5]!, "session_expired", { horizonMs: START_MS })
    world.reply(asked[1]!, 7)
    expect(answerOf(answered)).toBe(7)
    expect(late.result).toBeUndefined()
    world.pass(5_000)
    expect(textOf(late.result).split(" ")[0]).toBe("outcome_unknown")
  })

  it("after a while without calls: old sessions are the first that nodes forget", () => {
    const world = new CallWorld().up(1, 2, 3)
    const call = (): string => {
      group(world)
      const [copy] = world.asked()
      world.reply(copy!, 1)
      return copy!.message.session
    }
    const first_ = call()
    world.pass(LIMITS.clientIdleMsMax)
    expect(call()).toBe(first_)
    world.pass(LIMITS.clientIdleMsMax + 1)
    const second = call()
    expect(second).not.toBe(first_)
    expect(world.core.size()).toEqual({ ...EMPTY, sessions: 1 })
    // A call that is open keeps its session in use, however long it takes.
    world.call({ call: "multiparty", deadlineMs: LIMITS.callTimeoutMsMax })
    world.take()
    world.pass(2 * LIMITS.clientIdleMsMax)
    expect(call()).toBe(second)
  })

  it("a call to one node that forgot the session before the only copy came is renamed", () => {
    const world = new CallWorld().up(1, 2, 3)
    const call = rpc(world, 2)
    const [copy] = world.asked()
    const horizonMs = START_MS + 9
    const marks = recordMarks(() => world.fail(copy!, "session_expired", { horizonMs }))
    expect(marks.get("renamed")).toBe(1)
    const [renamed] = world.asked()
    expect(openedOf(renamed!)).toBe(START_MS + 10)
    world.reply(copy!, 1)
    expect(call.result).toBeUndefined()
    world.reply(renamed!, 2)
    expect(answerOf(call)).toBe(2)
    expect(world.core.size()).toEqual({ ...EMPTY, sessions: 1 })
  })

  it("but not one that may have run before, nor twice", () => {
    const world = new CallWorld().up(1, 2, 3)
    const calls = [rpc(world, 1), rpc(world, 2), rpc(world, 3)]
    const [one, two, three] = world.asked()
    const horizonMs = START_MS + 9
    world.fail(one!, "overloaded")
    world.pass(100)
    world.down(2)
    world.up(2)
    expect(nodesOf(world.asked())).toEqual([1, 2])
    for (const copy of [one!, two!, three!]) world.fail(copy, "session_expired", { horizonMs })
    const [again] = world.asked()
    expect(again!.to).toBe(3)
    world.fail(again!, "session_expired", { horizonMs: openedOf(again!) })
    for (const call of calls) {
      expect(call.result).toMatchObject({ ok: false, code: "outcome_unknown" })
    }
  })
})
