/** P8: what waits for its signatures to be verified: a share each, and all clients together. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import type { VerifyJob } from "../src/link/ports.ts"
import { Verifying } from "../src/link/verifying.ts"
import type { Input } from "../src/server/Input.ts"
import { methodId, type Request } from "../src/server/Message.ts"
import { signedWord } from "../src/server/Proof.ts"
import { json, protocolOf, request, session } from "./support/engines.ts"
import { MEMBERS, proofsOf, signedBy } from "./support/proofs.ts"
import { echo } from "./support/tries.ts"

const KIB = 1024
const limits = { ...LIMITS, cursorBytesMax: 16 * KIB, unverifiedBytesMax: 16 * KIB }

const spec = protocolOf("v", { ask: ["multiparty", ({ wait }) => wait] })
const shown = signedWord({ ...signedBy(2, echo(1)), author: 2 })
const methods = new Map(
  spec.methods.map((method) => [
    methodId(method.fullName),
    { ...method, proofs: () => [{ kind: "word" as const, ...shown }] }
  ])
)

const verifying = () => {
  const handed: Array<Input> = []
  const waiting: Array<() => void> = []
  const verify = (jobs: ReadonlyArray<VerifyJob>, done: (valid: Array<boolean>) => void): void => {
    waiting.push(() => done(jobs.map(() => true)))
  }
  const queue = new Verifying({
    ...{ limits, methods },
    proofs: { ...proofsOf(1), verifier: { verify } },
    hand: (input) => handed.push(input)
  })
  const ask = (route: number, bytes: number, index = 1): boolean => {
    const body = json.encode({ text: "x".repeat(bytes) })
    const call: Request = request("v", "ask", {}, { session: session(route), index, body })
    return queue.take(-route, { kind: "request", atMs: 0, route, request: call, client: "" })
  }
  const work = (): void => {
    queue.flush()
    for (const then of waiting.splice(0)) then()
  }
  return { queue, ask, work, handed }
}

describe("P8: messages that wait for their signatures", () => {
  it("no client holds more than is free, so that one who comes later finds room", () => {
    const { ask } = verifying()
    const taken = [1, 2, 3, 4].map((route) => {
      let count = 0
      while (ask(route, KIB, count + 1)) count++
      return count
    })
    expect(taken[0]).toBe(7)
    expect(taken.every((count) => count >= 1)).toBe(true)
    expect(taken).toEqual([...taken].sort((a, b) => b - a))
  })

  it("all clients together hold so many bytes, however many they are", () => {
    const { queue, ask, work, handed } = verifying()
    let count = 0
    for (let route = 1; route <= 100; route++) if (ask(route, KIB)) count++
    expect(count).toBe(14)
    expect(queue.waiting).toBe(14)
    work()
    expect(handed.length).toBe(14)
    expect(ask(200, KIB)).toBe(true)
  })

  it("one who is gone leaves its room", () => {
    const { queue, ask } = verifying()
    let taken = 0
    while (ask(1, KIB)) taken++
    expect(taken).toBe(7)
    queue.forget(-1)
    expect(queue.waiting).toBe(0)
    expect(ask(2, 7 * KIB)).toBe(true)
  })

  it("clients take no room of members", () => {
    const { queue, ask } = verifying()
    for (let route = 1; route <= 100; route++) ask(route, KIB)
    for (const from of MEMBERS) {
      const message = echo(1, { method: methodId("v/ask") })
      expect(queue.take(from, { kind: "message", atMs: 0, from, message })).toBe(true)
    }
  })
})
