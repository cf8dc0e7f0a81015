import { PassThrough } from "node:stream"
import { text } from "node:stream/consumers"
import { create } from "@bufbuild/protobuf"
import { Effect, Fiber, type Layer } from "effect"
import { assert, describe, it } from "vitest"
import { runSession } from "../../apps/paxos/session.ts"
import { apply, initial } from "../../apps/paxos/stateMachine.ts"
import { EntrySchema, KeyValue } from "../../gen/paxos/v1/paxos_quorate.ts"

/** One replica without the others: every call is the next entry. */
const store = (): Layer.Layer<KeyValue> => {
  const state = initial()
  let index = 0
  const submit = (command: object) => {
    const call = { session: new Uint8Array(22), index: ++index, method: "submit" }
    return apply(state, create(EntrySchema, { call, acknowledgedBelow: 1, command }))!
  }
  return KeyValue.mock({ submit: (command) => submit(command) }, { nodes: 1, faults: "crash" })
}

const session = async (
  interactive: boolean,
  write: (input: PassThrough) => void
): Promise<{ lines: ReadonlyArray<string>; errors: number; kinds: ReadonlyArray<string> }> => {
  const [input, output] = [new PassThrough(), new PassThrough()]
  const printed = text(output)
  write(input)
  const { errors, summary } = await Effect.runPromise(
    runSession({ input, output, interactive }).pipe(Effect.provide(store()))
  )
  output.end()
  const kinds = summary.lines().map((line) => line.split(" ")[0]!)
  return { lines: (await printed).split("\n"), errors, kinds }
}

describe("lines from a pipe", () => {
  it("are executed in order, the last one without its end of line too", async () => {
    const { lines, errors, kinds } = await session(false, (input) => {
      input.end("put a 1\r\nget a\n\n\ncas a 2 3\ndel a\nget a")
    })
    assert.deepEqual(lines, ["ok", "1", "conflict", "ok", "(nil)", ""])
    assert.strictEqual(errors, 0)
    assert.deepEqual(kinds, ["command", "put", "get", "cas", "del"])
  })

  it("that cannot be read are errors, and the rest goes on; help and quit are none", async () => {
    const { lines, errors, kinds } = await session(false, (input) => {
      input.end("help\nquit\nput a\nput a 1\n")
    })
    assert.deepEqual(lines, [
      'error: unknown command "help"; expected put, get, del or cas (line 1)',
      'error: unknown command "quit"; expected put, get, del or cas (line 2)',
      "error: expected: put KEY VALUE (line 3)",
      "ok",
      ""
    ])
    assert.strictEqual(errors, 3)
    assert.deepEqual(kinds, ["command", "put", "failed"])
  })

  it("may be none at all", async () => {
    const { lines, kinds } = await session(false, (input) => input.end("\n"))
    assert.deepEqual(lines, [""])
    assert.deepEqual(kinds, ["no"])
  })

  it("may be cut anywhere, inside a character too", async () => {
    const bytes = Buffer.from("put ключ zäh €\u2028\u0085🎉\nget ключ\n")
    for (let at = 0; at <= bytes.length; at++) {
      const { lines } = await session(false, (input) => {
        input.write(bytes.subarray(0, at))
        input.end(bytes.subarray(at))
      })
      assert.deepEqual(lines, ["ok", "zäh €\u2028\u0085🎉", ""])
    }
  })

  it("that are longer than a message may be are cut, and still too long", async () => {
    const { lines } = await session(false, (input) => {
      input.write("put a ")
      for (let mebibytes = 0; mebibytes < 5; mebibytes++) input.write("x".repeat(1_048_576))
      input.end("\nget a\n")
    })
    assert.strictEqual(lines[0], "ok")
    assert.strictEqual(lines[1]!.length, 2_097_152 - "put a ".length)
  })

  it("end as soon as the session is interrupted, though no line comes", async () => {
    const [input, output] = [new PassThrough(), new PassThrough()]
    const running = Effect.runFork(
      runSession({ input, output, interactive: false }).pipe(Effect.provide(store()))
    )
    input.write("put a 1\n")
    assert.strictEqual(String(await new Promise((r) => output.once("data", r))), "ok\n")
    await Effect.runPromise(Fiber.interrupt(running))
    assert.isTrue(input.isPaused())
  })
})

describe("on a terminal", () => {
  it("there is a prompt, help and quit", async () => {
    const { lines, errors } = await session(true, (input) => {
      input.write("put a 1\nhelp\nfrob\nget a\n")
      input.write("  quit \nget never\n")
    })
    assert.deepEqual(lines, [
      'a replicated store; "help" lists the commands, "quit" ends',
      "> ok",
      "> put KEY VALUE     write; VALUE is the rest of the line",
      "get KEY           read; prints the value, or (nil)",
      "del KEY           delete",
      "cas KEY OLD NEW   write NEW (the rest of the line) where OLD stands; else prints conflict",
      "help              this list",
      "quit              ends, as Ctrl-D does",
      '> error: unknown command "frob"; expected put, get, del or cas',
      "> 1",
      "> "
    ])
    assert.strictEqual(errors, 1)
  })

  it("Ctrl-D ends it", async () => {
    const { lines } = await session(true, (input) => input.end("get a\n"))
    assert.deepEqual(lines.slice(1), ["> (nil)", "> "])
  })
})
