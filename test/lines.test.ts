/** Lines for the operator: as they stand, or as entries of a program's own loggers. */
import { assert, describe, it } from "@effect/vitest"
import { Console, Context, Effect, Logger, References } from "effect"
import { makePrint } from "../src/runtime/internal/lines.ts"
import { Reporter } from "../src/runtime/internal/reporter.ts"
import { sessionKey } from "../src/server/laneKey.ts"

const LABELS = { group: "demo", node: 3 }

describe("lines for the operator", () => {
  it.effect("stand as they are: what is right on standard output, the rest on standard error", () =>
    Effect.sync(() => {
      const [out, err]: [Array<string>, Array<string>] = [[], []]
      const console = {
        ...globalThis.console,
        log: (line: string) => out.push(line),
        error: (line: string) => err.push(line)
      }
      const print = makePrint(Context.make(Console.Console, console), LABELS)
      print("Info", "node 3: it listens", { reason: "listening" })
      print("Warn", "node 3: something is wrong", { reason: "garbage" })
      print("Error", "node 3: it halts", { reason: "halted" })
      assert.deepStrictEqual(out, ["node 3: it listens"])
      assert.deepStrictEqual(err, ["node 3: something is wrong", "node 3: it halts"])
    })
  )

  it.effect("go to a program's own loggers, with what they are about", () =>
    Effect.sync(() => {
      const entries: Array<object> = []
      const logger = Logger.make<unknown, void>(({ message, logLevel, fiber }) => {
        const annotations = fiber.getRef(References.CurrentLogAnnotations)
        entries.push({ message, logLevel, ...annotations })
      })
      const print = makePrint(Context.make(Logger.CurrentLoggers, new Set([logger])), LABELS)
      const reporter = new Reporter(
        (line, about) => print("Warn", line, about),
        () => 1_000
      )
      const session = sessionKey(0x0102, new Uint8Array(16).fill(0xab))
      reporter.report("equivocation", "node 2 said two values", {
        peer: 2,
        lane: session,
        index: 7
      })
      reporter.say("link refused", { reason: "wrong_group", remote: "127.0.0.1:50000" })
      const call = `000000000102${"ab".repeat(16)}/7`
      assert.deepStrictEqual(entries, [
        {
          ...{ message: ["equivocation: node 2 said two values"], logLevel: "Warn", ...LABELS },
          ...{ reason: "equivocation", peer: 2, call }
        },
        {
          ...{ message: ["link refused"], logLevel: "Warn", ...LABELS },
          ...{ reason: "wrong_group", remote: "127.0.0.1:50000" }
        }
      ])
    })
  )
})
