/** Short ways to try one engine: a word, a request, what it logged. */
import { LIMITS } from "../../src/base/limits.ts"
import { makeSystem } from "../../src/quorum/QuorumSystem.ts"
import { Engine } from "../../src/server/engine.ts"
import type { Input } from "../../src/server/Input.ts"
import type { LogEntry } from "../../src/server/LogRecord.ts"
import { methodId, type PeerMessage, type Request, type Word } from "../../src/server/Message.ts"
import type { Output } from "../../src/server/Output.ts"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { json, type Nodes, request, session } from "./engines.ts"

/** A broadcast of `m<index>`. */
export const rb = (index: number, more: Partial<Request> = {}): Request =>
  request("rb", "broadcast", { text: `m${index}` }, { index, ...more })

/** An echo of "a" in the first call of session 1. */
export const echo = (position: number, more: Partial<Word> = {}): Word => ({
  kind: "word",
  position,
  lane: session(1),
  index: 1,
  method: methodId("rb/echo"),
  round: 0,
  ackedBelow: 1,
  body: json.encode({ text: "a" }),
  ...more
})

export const hear = (nodes: Nodes, to: number, from: number, message: PeerMessage): void =>
  nodes.input(to, { kind: "message", from, message })

/** Log entries of one kind, oldest first. */
export const logged = <K extends LogEntry["kind"]>(
  nodes: Nodes,
  id: number,
  kind: K
): ReadonlyArray<Extract<LogEntry, { kind: K }>> =>
  nodes.logs
    .get(id)!
    .flatMap((record) => record.entries)
    .filter((entry): entry is Extract<LogEntry, { kind: K }> => entry.kind === kind)

/** Indexes of the calls that node `id` has answered for good. */
export const finals = (nodes: Nodes, id: number): ReadonlyArray<number> =>
  logged(nodes, id, "final")
    .map(({ index }) => index)
    .sort((a, b) => a - b)

/** One engine whose handlers may return Effects: `{ effect }`. */
export const alone = (protocol: ProtocolSpec, limits: Partial<typeof LIMITS> = {}) => {
  const engine = new Engine({
    self: 1,
    system: makeSystem([1, 2, 3], "crash"),
    protocols: [protocol],
    limits: { ...LIMITS, ...limits },
    isEffect: (value: any) => value?.effect !== undefined
  })
  engine.step({ kind: "booted", atMs: 2_000, horizonMs: 0 })
  const step = (input: any): ReadonlyArray<Output> =>
    engine.step({ atMs: 2_000, ...input } as Input)
  const codes = (input: any) =>
    step(input).flatMap((o) => (o.kind === "reply" ? [o.reply.code ?? "answer"] : []))
  const call = (method: string, index: number, more: Partial<Request> = {}) => ({
    kind: "request",
    route: 1,
    request: request(protocol.name, method, {}, { index, ...more })
  })
  return { engine, step, codes, call }
}
