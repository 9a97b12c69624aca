// Processes that are killed with requests under way lose nothing that was acknowledged, and double nothing.

import { expect } from 'vitest'
import { account, type Told } from './helpers/exact'
import { seeded } from './helpers/fault-proxy'
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
})
