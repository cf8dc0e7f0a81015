import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { Admission, addressOf } from "../src/link/admission.ts"

const limits = {
  ...LIMITS,
  ...{ connectionsPerAddressMax: 3, unprovenPerAddressMax: 2, unprovenMax: 3 },
  ...{ handshakesPerSecond: 10, rateBurstMs: 1_000, addressesMax: 4 }
}

describe("connections of one address", () => {
  it("are so many at once, and of others as many", () => {
    const port = new Admission(limits)
    for (let i = 0; i < 3; i++) expect(port.connected("10.0.0.1", 0)).toBeUndefined()
    expect(port.connected("::ffff:10.0.0.1", 0)).toBe("3 connections of that address are open")
    expect(port.connected("10.0.0.2", 0)).toBeUndefined()
    port.disconnected("10.0.0.1")
    expect(port.connected("10.0.0.1", 0)).toBeUndefined()
    expect(port.counters.connections).toBe(1)
  })

  it("are so many a second, however soon they go", () => {
    const port = new Admission(limits)
    const come = (atMs: number): boolean => {
      if (port.connected("10.0.0.1", atMs) !== undefined) return false
      port.disconnected("10.0.0.1")
      return true
    }
    const at = (atMs: number): number =>
      Array.from({ length: 100 }, () => come(atMs)).filter(Boolean).length
    expect([at(5_000), at(5_200), at(60_000)]).toEqual([11, 2, 11])
    expect(port.connected("10.0.0.1", 60_000)).toBe(
      "more than 10 connections a second of that address"
    )
  })
})

describe("streams that have not proven who they are", () => {
  it("are so many of one address, and so many in all", () => {
    const port = new Admission(limits)
    for (const remote of ["a", "b"]) port.connected(remote, 0)
    expect([port.begun("a"), port.begun("a")]).toEqual([undefined, undefined])
    expect(port.begun("a")).toBe("2 streams of that address have not done their handshake")
    expect(port.begun("b")).toBeUndefined()
    expect(port.begun("b")).toBe("3 streams have not done their handshake")
    port.settled("a", true, 0)
    expect(port.begun("b")).toBeUndefined()
    expect(port.size().unproven).toBe(3)
  })
})

describe("a handshake that came to nothing", () => {
  it("costs its address more than one that was done, and no other", () => {
    const port = new Admission(limits)
    const come = (remote: string, done: boolean): boolean => {
      if (port.connected(remote, 5_000) !== undefined) return false
      port.begun(remote)
      port.settled(remote, done, 5_000)
      port.disconnected(remote)
      return true
    }
    const times = (remote: string, done: boolean): number =>
      Array.from({ length: 20 }, () => come(remote, done)).filter(Boolean).length
    expect([times("a", false), times("b", true)]).toEqual([2, 11])
    expect(port.counters).toMatchObject({ failed: 2, rate: 27 })
  })
})

describe("behind a proxy", () => {
  it("the address says nothing; what is bounded in all still is", () => {
    const port = new Admission(limits, true)
    for (let i = 0; i < 100; i++) expect(port.connected("10.0.0.1", 0)).toBeUndefined()
    for (let i = 0; i < 3; i++) expect(port.begun("10.0.0.1")).toBeUndefined()
    expect(port.begun("10.0.0.1")).toBe("3 streams have not done their handshake")
    expect(port.size()).toEqual({ addresses: 0, unproven: 3 })
  })
})

it("P8: addresses without connections are forgotten first, of these those that owe nothing", () => {
  const port = new Admission(limits)
  port.connected("stays", 0)
  for (let i = 0; i < 1_000; i++) {
    port.connected(`10.0.0.${i}`, i)
    port.disconnected(`10.0.0.${i}`)
    expect(port.size().addresses).toBeLessThanOrEqual(limits.addressesMax)
  }
  for (let i = 0; i < 2; i++) port.connected("stays", 2_000)
  expect(port.connected("stays", 2_000)).toBe("3 connections of that address are open")
})

it("one holder is an IPv4 address, or half of an IPv6 one", () => {
  expect(addressOf("127.0.0.1")).toBe("127.0.0.1")
  expect(addressOf("::ffff:192.0.2.7")).toBe("192.0.2.7")
  expect(addressOf("2001:db8:1:2:3:4:5:6")).toBe("2001:db8:1:2::/64")
  expect(addressOf("2001:db8:1:2::6")).toBe("2001:db8:1:2::/64")
  expect(addressOf("2001:0DB8:1::6")).toBe("2001:db8:1:0::/64")
  expect(addressOf("fe80::1%eth0")).toBe("fe80:0:0:0::/64")
  expect(addressOf("::1")).toBe("0:0:0:0::/64")
})
