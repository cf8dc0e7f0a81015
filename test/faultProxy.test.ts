import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { describe, expect, it, onTestFinished, vi } from "vitest"
import { FaultProxy, type ProxyOptions } from "./support/faultProxy.ts"

/** One end of a connection: what it got, and how it ended. */
class End {
  readonly socket: Socket
  readonly parts: Array<Buffer> = []
  bytes = 0
  ended: string | undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on("data", (bytes: Buffer) => {
      this.parts.push(bytes)
      this.bytes += bytes.length
    })
    socket.on("end", () => (this.ended ??= "end"))
    socket.on("error", (error: NodeJS.ErrnoException) => (this.ended ??= error.code))
  }
  get got(): Buffer {
    return Buffer.concat(this.parts)
  }
  async has(bytes: number): Promise<void> {
    await vi.waitFor(() => expect(this.bytes).toBeGreaterThanOrEqual(bytes), { interval: 1 })
  }
  async ends(): Promise<string> {
    await vi.waitFor(() => expect(this.ended).toBeDefined(), { interval: 1 })
    return this.ended!
  }
}

const open = async (options: Partial<ProxyOptions> = {}) => {
  const server = createServer((socket) => socket.on("error", () => {}))
  await once(server.listen(0, "127.0.0.1"), "listening")
  const { port } = server.address() as AddressInfo
  const proxy = await FaultProxy.open({ target: `127.0.0.1:${port}`, ...options })
  onTestFinished(async () => {
    await proxy.close()
    server.close()
  })
  const dial = (): End => {
    const [host, at] = proxy.address.split(":")
    return new End(connect(Number(at), host))
  }
  /** Both ends of a connection over which the dialler has said "hi". */
  const join = async () => {
    const accepted = once(server, "connection")
    const near = dial()
    near.socket.write("hi")
    const far = new End((await accepted)[0] as Socket)
    await far.has(2)
    return { near, far }
  }
  return { proxy, dial, join }
}
const text = Buffer.from("0123456789".repeat(10_000))

describe("the fault proxy", () => {
  it("passes all bytes in order, and an orderly end, both ways", async () => {
    const { proxy, join } = await open()
    const { near, far } = await join()
    near.socket.end(text)
    far.socket.write(text)
    await far.has(2 + text.length)
    await near.has(text.length)
    expect(far.got.subarray(2).equals(text) && near.got.equals(text)).toBe(true)
    expect(await far.ends()).toBe("end")
    far.socket.end()
    expect(await near.ends()).toBe("end")
    await vi.waitFor(() => expect(proxy.connections).toBe(0))
  })

  it("delays and slows down, and mixes nothing up", async () => {
    const { join } = await open({ draw: () => ({ up: { delayMs: 20, bytesPerMs: 2_000 } }) })
    const startMs = performance.now()
    const { near, far } = await join()
    const metMs = performance.now()
    expect(metMs - startMs).toBeGreaterThan(19)
    for (let at = 0; at < text.length; at += 1_000) near.socket.write(text.subarray(at, at + 1_000))
    near.socket.end()
    expect(await far.ends()).toBe("end")
    expect(far.got.subarray(2).equals(text)).toBe(true)
    expect(performance.now() - metMs).toBeGreaterThan(20 + text.length / 2_000 - 15)
  })

  it("resets a connection behind a byte, and turns one bit", async () => {
    const { join, proxy } = await open({ draw: () => ({ up: { resetAfter: 1_002, flipAt: 12 } }) })
    const { near, far } = await join()
    near.socket.write(text)
    expect(await near.ends()).toMatch(/ECONNRESET|EPIPE/)
    expect(await far.ends()).toBe("ECONNRESET")
    expect(far.got.length).toBe(1_002)
    const differs = [...far.got.subarray(2)].flatMap((byte, i) => (byte === text[i] ? [] : [i]))
    expect(differs).toEqual([10])
    expect(far.got[12]! ^ text[10]!).toBe(1 << 4)
    expect(proxy.connections).toBe(0)
  })

  it("makes a connection half open: neither is told of the other's bytes or end", async () => {
    const { proxy, join } = await open()
    const { near, far } = await join()
    proxy.swallow("up")
    near.socket.write("lost")
    far.socket.write("heard")
    await near.has(5)
    near.socket.resetAndDestroy()
    // Another connection sees all of this pass.
    const other = await join()
    expect(far.got.toString()).toBe("hi")
    expect(far.ended).toBeUndefined()
    proxy.cut("end")
    expect(await far.ends()).toBe("end")
    expect(await other.near.ends()).toBe("end")
  })

  it("swallows from a byte on", async () => {
    const { proxy, join } = await open({ draw: () => ({ up: { swallowAfter: 5 } }) })
    const { near, far } = await join()
    near.socket.write(text)
    await vi.waitFor(() => expect(proxy.bytes).toBe(2 + text.length))
    await far.has(5)
    expect(far.got.toString()).toBe("hi012")
    expect(far.ended).toBeUndefined()
  })

  it("stands still, and goes on", async () => {
    const { proxy, join } = await open()
    const { near, far } = await join()
    proxy.pause()
    const large = Buffer.alloc(50_000_000, "x")
    near.socket.write(large)
    const before = proxy.bytes
    // The sender's own buffer is what grows.
    await vi.waitFor(() => expect(near.socket.writableNeedDrain).toBe(true))
    expect(proxy.bytes - before).toBeLessThan(large.length / 2)
    proxy.resume()
    await far.has(2 + large.length)
  })

  it("refuses, swallows or takes new connections, as it is told", async () => {
    const { proxy, dial, join } = await open()
    proxy.admission = "reset"
    expect(await dial().ends()).toBe("ECONNRESET")
    proxy.admission = "swallow"
    const nobody = dial()
    await once(nobody.socket, "connect")
    await vi.waitFor(() => expect(proxy.accepted).toBe(2))
    proxy.admission = "pass"
    await join()
    expect(nobody.ended).toBeUndefined()
  })

  it("draws the same faults from the same seed", async () => {
    const drawn = async (seed: number) => {
      const ms: Array<number> = []
      const { join } = await open({
        seed,
        draw: (random) => {
          ms.push(random.below(1_000_000))
          return {}
        }
      })
      for (let i = 0; i < 5; i++) await join()
      return ms
    }
    expect(await drawn(7)).toEqual(await drawn(7))
    expect(await drawn(8)).not.toEqual(await drawn(7))
  })
})
