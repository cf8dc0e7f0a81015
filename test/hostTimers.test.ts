/** Who sees to it that timers fire: the host core asks its clock, and a stale wake does nothing. */
import { expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { HostCore } from "../src/link/hostCore.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import { protocolOf, request } from "./support/engines.ts"

it("a host is woken when the earliest timer is due, and asks no more often than it must", () => {
  const fired: Array<string> = []
  const say = (what: string): [] => {
    fired.push(what)
    return []
  }
  const asked: Array<number> = []
  let nowMs = 2_000
  const host = new HostCore({
    self: 1,
    system: makeSystem([1], "crash"),
    protocols: [
      protocolOf(
        "t",
        { ask: ["multiparty", ({ message, arm }) => arm(message.timer, message.ms)] },
        {
          timers: {
            a: () => say("a"),
            b: () => say("b")
          }
        }
      )
    ],
    limits: LIMITS,
    log: undefined,
    isEffect: () => false,
    ports: {
      clock: { nowMs: () => nowMs },
      sendToPeer: () => {},
      sendToClient: () => {},
      run: () => {},
      interrupt: () => {},
      report: (_, detail) => fired.push(detail),
      halt: (reason) => fired.push(reason),
      wake: () => {},
      wakeAt: (atMs) => asked.push(atMs)
    }
  })
  host.boot()
  // Without a log, calls of sessions that an earlier life may know are refused: this one is newer.
  const session = request("t", "ask", {}).session.replace(/^.{6}/s, "\0\0\0\x02\0\0")
  nowMs = 2 ** 25
  const ask = (index: number, timer: string, ms: number): void => {
    host.fromClient(1, request("t", "ask", { timer, ms }, { session, index }))
    host.drain()
  }
  ask(1, "a", 100)
  ask(2, "b", 40)
  // Armed for later: the wake that was asked for comes too early, and does nothing.
  ask(3, "b", 60)
  expect(asked.map((atMs) => atMs - nowMs)).toEqual([100, 40])
  nowMs += 40
  host.timeUp()
  host.drain()
  expect(fired).toEqual([])
  expect(asked.at(-1)! - nowMs).toBe(20)
  nowMs += 60
  host.timeUp()
  host.drain()
  expect(fired).toEqual(["b", "a"])
  expect(asked).toHaveLength(3)
})
