/** `npm start`: three replicas, a client, and nothing left behind. */
import { existsSync, readdirSync } from "node:fs"
import { assert, it, vi } from "vitest"
import { isAlive, outsidePath, Program, runSource, temporaryFolder } from "../support/processes.ts"

vi.setConfig({ testTimeout: 60_000 })

/** A stop may take this long, with a machine that is busy with other tests. */
const STOP_MS_MAX = 2_000

/**
 * With the Node that npm finds outside of the repository, whatever its age. `TMPDIR` is a folder of
 * the test's own, to see what is left there.
 */
const npmStart = (input: string): { program: Program; folder: string } => {
  const folder = temporaryFolder()
  const env = { TMPDIR: folder, PATH: outsidePath() }
  return { program: new Program("npm", ["start", "--silent"], { input, env }), folder }
}

/** What the program left there; npm has a cache in the same place. */
const leftIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder).filter((name) => name.startsWith("quorate-"))

/** The program itself, without npm: its process can be killed. */
const start = (): { program: Program; folder: string } => {
  const folder = temporaryFolder()
  const args = ["--conditions=quorate-source", "apps/paxos/main.ts"]
  const program = new Program(process.execPath, args, { input: "open", env: { TMPDIR: folder } })
  return { program, folder }
}

/** Process ids of the replicas, from the line that says they are ready. */
const replicasOf = async (program: Program): Promise<ReadonlyArray<number>> => {
  const [line] = await program.prints(/^3 replicas ready after .*$/m)
  return Array.from(line.matchAll(/is process (\d+)/g), ([, pid]) => Number(pid))
}

it("executes the lines of standard input and prints one line for each", async () => {
  const { program, folder } = npmStart("put a 1\nget a\ncas a 1 2\nget a\nget zz\n")
  const { code, stdout, stderr } = await program.ended
  assert.strictEqual(stdout, "ok\n1\nok\n2\n(nil)\n", stderr)
  assert.strictEqual(code, 0)
  const [ready, head, ...rows] = stderr.trimEnd().split("\n")
  assert.match(ready!, /^3 replicas ready after \d+ ms: node 1 is process \d+, /)
  assert.match(head!, /^command +count +min +median +p99 +max +\(ms\)$/)
  assert.deepEqual(
    rows.map((row) => row.split(/ +/).slice(0, 2)),
    [
      ["put", "1"],
      ["get", "3"],
      ["cas", "1"]
    ]
  )
  assert.deepEqual(leftIn(folder), [])
})

/** More than the store takes, and more than a message holds. */
const LONG = ["€".repeat(262_144), "x".repeat(3_000_000)].map((value) => `put a ${value}`)

it("says what is wrong with a line it cannot execute, goes on, and exits with 1", async () => {
  const odd = ["put a", "", "  ", "put ключ zäh €\u2028🎉", "get ключ", "frob", "del a b"]
  const lines = [...odd, ...LONG, `put a ${"€".repeat(262_143)}`, "del a", "get a"]
  const { program } = npmStart(lines.join("\r\n"))
  const { code, stdout, stderr } = await program.ended
  assert.deepEqual(
    stdout.split("\n").map((line) => line.replace(/ paxos\.v1.*/, "")),
    [
      "error: expected: put KEY VALUE (line 1)",
      "ok",
      "zäh €\u2028🎉",
      'error: unknown command "frob"; expected put, get, del or cas (line 6)',
      "error: expected: del KEY (line 7)",
      "error: [invalid]",
      "error: [too_large]",
      "ok",
      "ok",
      "(nil)",
      ""
    ],
    stderr
  )
  assert.strictEqual(code, 1)
})

it.each([
  [["--help"], 0, /^Starts three replicas .*\n.*\n\nusage: npm start < LINES\n\n$/, /^$/],
  [["--nodes", "3"], 2, /^$/, /^Unknown option '--nodes'; usage: npm start < LINES\n$/],
  [["3"], 2, /^$/, /^Unexpected argument '3'; usage: npm start < LINES\n$/]
])("with arguments %j it ends with %d and says why", async (args, code, out, error) => {
  const ended = await runSource("apps/paxos/main.ts", args).ended
  assert.match(ended.stdout, out)
  assert.match(ended.stderr, error)
  assert.strictEqual(ended.code, code)
})

it.each([
  ["SIGTERM", 0],
  ["SIGINT", 130]
] as const)("stops all within 2 s on %s and removes its folder", async (signal, code) => {
  const { program, folder } = start()
  const replicas = await replicasOf(program)
  program.child.stdin!.write("put a 1\n")
  await program.prints(/^ok$/m)
  const startMs = performance.now()
  const ended = await program.stop(signal)
  assert.isBelow(performance.now() - startMs, STOP_MS_MAX)
  assert.strictEqual(ended.code, code, ended.stderr)
  assert.deepEqual(replicas.filter(isAlive), [])
  assert.deepEqual(leftIn(folder), [])
})

/** Makes a terminal for a program; util-linux has it. */
const SCRIPT = "/usr/bin/script"

it.runIf(existsSync(SCRIPT))("is a prompt on a terminal, where Ctrl-C stops all", async () => {
  const folder = temporaryFolder()
  const command = `'${process.execPath}' --conditions=quorate-source apps/paxos/main.ts`
  const env = { TMPDIR: folder, TERM: "dumb" }
  const program = new Program(SCRIPT, ["-qec", command, "/dev/null"], { input: "open", env })
  const type = (text: string): void => void program.child.stdin!.write(text)
  const replicas = await replicasOf(program)
  await program.prints(/> /)
  type("put a 1\r")
  await program.prints(/^ok\r$/m)
  type("help\r")
  await program.prints(/^get KEY +read/m)
  type("\u0003")
  const { code, stdout } = await program.ended
  assert.strictEqual(code, 130)
  assert.match(stdout, /> \r?\n/)
  assert.deepEqual(replicas.filter(isAlive), [])
  assert.deepEqual(leftIn(folder), [])
})

it("stops while its replicas still start", async () => {
  const { program, folder } = start()
  await vi.waitFor(() => assert.lengthOf(leftIn(folder), 1), { timeout: 20_000 })
  await program.stop("SIGINT")
  assert.strictEqual(program.stdout, "")
  assert.deepEqual(leftIn(folder), [])
})

it("its replicas end with it, even when it is killed", async () => {
  const { program } = start()
  const replicas = await replicasOf(program)
  assert.lengthOf(replicas.filter(isAlive), 3)
  await program.stop("SIGKILL")
  await vi.waitFor(() => assert.deepEqual(replicas.filter(isAlive), []), { timeout: 10_000 })
})

it("works on with one replica killed, and says in one line when two are", async () => {
  const { program } = start()
  const replicas = await replicasOf(program)
  process.kill(replicas[2]!, "SIGKILL")
  await program.prints(/^node 3 \(process \d+\) ended: SIGKILL$/m)
  program.child.stdin!.write("put a 1\nget a\n")
  await program.prints(/^ok\n1$/m)
  process.kill(replicas[1]!, "SIGKILL")
  program.child.stdin!.end("get a\n")
  const { code, stdout, stderr } = await program.ended
  const [, , error, ...more] = stdout.trimEnd().split("\n")
  assert.match(error!, /^error: \[deadline_exceeded\] paxos\.v1\.KeyValue\/Submit: 0 of 1; node 1 /)
  assert.deepEqual(more, [])
  assert.notMatch(stderr, /^ +at /m)
  assert.strictEqual(code, 1)
})

it("ends quietly when nobody reads its results", async () => {
  const { program, folder } = start()
  await replicasOf(program)
  program.child.stdout!.destroy()
  for (let i = 0; i < 100; i++) program.child.stdin!.write("get a\n")
  const { stderr } = await program.ended
  assert.notMatch(stderr, /error|EPIPE/i)
  assert.deepEqual(leftIn(folder), [])
})
