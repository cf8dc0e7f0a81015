/** A node that is told to stop has stopped within two seconds, whoever holds on to it. */
import { connect } from "node:http2"
import { connect as connectSocket } from "node:net"
import { join } from "node:path"
import { assert, it, onTestFinished } from "vitest"
import type { Program } from "../support/processes.ts"
import { COMES_AND_GOES, groupFolder, PAXOS_SERVER, SERVER, start } from "./support/spawn.ts"

const STOP_MS_MAX = 2_000

/** Holds a socket, a session, a link that says nothing and a call that is not sent to its end. */
const holdOn = async (port: number): Promise<void> => {
  const socket = connectSocket(port, "127.0.0.1")
  socket.on("error", () => {})
  const session = connect(`http://127.0.0.1:${port}`)
  session.on("error", () => {})
  const open = ["/quorate.v1.Peer/Link", "/rb.v1.ReliableBroadcast/Broadcast"].map((path, i) =>
    session.request({
      ":method": "POST",
      ":path": path,
      "content-type": i === 0 ? "application/connect+proto" : "application/proto"
    })
  )
  for (const stream of open) stream.on("error", () => {})
  onTestFinished(() => {
    socket.destroy()
    session.destroy()
  })
  await new Promise((resolve) => open[0]!.once("response", resolve))
}

const stopped = async ({ child, ended }: Program, signal: NodeJS.Signals) => {
  const startMs = performance.now()
  child.kill(signal)
  const end = await ended
  assert.isBelow(performance.now() - startMs, STOP_MS_MAX)
  assert.strictEqual(end.signal, null)
  return end
}

it("SIGTERM: open streams, half-sent calls and silent sockets do not hold it up", async () => {
  const { folder, ports } = await groupFolder()
  const nodes = ["1", "2"].map((id) => start(SERVER, [id], folder))
  await Promise.all(nodes.map(({ started }) => started))
  await holdOn(ports[0]!)
  const { code, stdout, stderr } = await stopped(nodes[0]!, "SIGTERM")
  assert.strictEqual(code, 0)
  assert.strictEqual(stderr, "")
  assert.strictEqual(
    stdout.split("\n")[0],
    `node 1: group demo, address 127.0.0.1:${ports[0]}, store none`
  )
})

it("SIGINT ends it as a shell expects, and its folder can be used again", async () => {
  const { folder } = await groupFolder({ size: 3, faults: "crash", durable: true })
  const args = ["--group", "group.json", "--id", "2", "--data", "data"]
  const first = start(PAXOS_SERVER, [...args, "--init"], folder)
  assert.include(await first.started, `store ${join(folder, "data")} (made)`)
  assert.strictEqual((await stopped(first, "SIGINT")).code, 130)
  const second = start(PAXOS_SERVER, args, folder)
  assert.match(await second.started, /store \S+data$/)
  assert.strictEqual((await stopped(second, "SIGTERM")).code, 0)
})

it.each(["link", "unary"])("nothing is left of a node and a client over %s", async (transport) => {
  const { folder } = await groupFolder({ size: 1, f: 0 })
  const program = start(COMES_AND_GOES, [transport], folder)
  const { code, stdout, stderr } = await program.ended
  assert.strictEqual(code, 0, stderr)
  assert.strictEqual(stdout.split("\n")[2], "a")
})
