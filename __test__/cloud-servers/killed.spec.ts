// Processes that are killed with requests under way lose nothing that was acknowledged, and double nothing.

import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { account, type Told } from './helpers/exact'
import { seeded } from './helpers/fault-proxy'
import { killFolders } from './helpers/folders'
import { eachStore } from './helpers/stores'

eachStore((room) => {
  room.faultTest('writers that are killed -9 again and again', async () => {
    const [writers, lives] = [3, 8]
    const url = room.url()
    const random = seeded(9)
    // Slow, so that a kill meets requests at every stage; the proxy goes on with those of the dead.
    await room.through({ seed: 9, latencyMs: [1, 20] }, async (proxy) => {
      const options = { endpoint: proxy.endpoint, timeout: 120_000, maxAttempts: 10_000 }
      const told: Told[] = []
      await room.clients(0, async (_, another) => {
        const live = async (name: string, life: number) => {
          const [client, writer] = [another(), `${name}.${life}`]
          told.push({ writer, acknowledged: client.acknowledged })
          const updating = client.ask('update', { url, writer, times: 10_000, parallel: 3, options })
          updating.catch(() => {})
          const until = 1 + Math.floor(random() * 12)
          while (client.acknowledged.length < until) {
            await Promise.race([client.nextAcknowledged(), updating])
          }
          await client.kill()
        }
        await Promise.all(
          Array.from({ length: writers }, async (_, writer) => {
            for (let life = 0; life < lives; life++) await live(`w${writer}`, life)
          }),
        )
      })
      await proxy.settled()
      const sums = account(await room.read(url), told)
      expect(sums).toMatchObject({ lost: [], doubled: [] })
      expect(sums.acknowledged).toBeGreaterThanOrEqual(writers * lives)
    })
  })

  room.faultTest('folders that are killed -9 again and again, under faults', async () => {
    const { acknowledged, wrong, left } = await killFolders(room, 3, 4)
    expect(wrong).toEqual([])
    expect(left).toEqual([])
    expect(acknowledged).toBeGreaterThanOrEqual(12)
  })

  room.faultTest('publishers that are killed -9 again and again: no reader sees half a release', async () => {
    const [lives, files, times] = [6, 5, 1000]
    const url = room.url('site')
    const random = seeded(10)
    await room.through({ seed: 10, latencyMs: [1, 10] }, async (proxy) => {
      const reading = { endpoint: room.store.endpoint }
      await room.clients(1, async ([reader], another) => {
        let published = false
        let over = false
        let looks = 0
        const watch = async () => {
          while (!over) {
            const seen = await reader!.ask('release', { url, options: reading })
            if (!seen) continue
            if (published) expect(seen.numbers).toHaveLength(files)
            expect(new Set(seen.numbers).size).toBeLessThanOrEqual(1)
            looks++
          }
        }
        const publish = async () => {
          for (let life = 0; life < lives; life++) {
            const publisher = another()
            const options = { endpoint: proxy.endpoint }
            const publishing = publisher.ask('publish', { url, from: life * times, times, files, options })
            publishing.catch(() => {})
            const until = 1 + Math.floor(random() * 3)
            while (publisher.acknowledged.length < until) {
              await Promise.race([publisher.nextAcknowledged(), publishing])
            }
            published = true
            // Somewhere within the next one, for which five files and a pointer go through the proxy.
            const requests = proxy.counts.requests + Math.floor(random() * 12)
            while (proxy.counts.requests < requests) await sleep(1)
            await publisher.kill()
            await proxy.settled()
            const { numbers } = (await reader!.ask('release', { url, options: reading }))!
            expect(new Set(numbers).size).toBe(1)
            // The last that was acknowledged, or the one that its publisher did not hear of any more.
            const last = publisher.acknowledged.at(-1)!
            expect([last, last + 1]).toContain(numbers[0])
          }
        }
        const watching = watch()
        await Promise.race([publish(), watching]).finally(() => {
          over = true
        })
        await watching
        expect(looks).toBeGreaterThan(lives)
      })
    })
  })
})
