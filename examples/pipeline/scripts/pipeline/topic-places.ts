/**
 * Where topics are in the topic index. Publishes that are committed together work on one list, one after another; to look through all of
 * it for each took longer than all else that they do with it. Of such a list (`working-list.ts`) it is known where each topic is. Any other
 * is looked through: one publish alone would have to do that anyway.
 */

import type { TopicIndex, TopicRecord } from '../../lib/content/types'
import { isWorking, workingList } from '../../lib/content/working-list'

/** What tells whose topic a record is. */
export type Address = Pick<TopicRecord, 'topicKey' | 'pageType' | 'slug' | 'documentId'>

/** The positions of records of which no two have the same key, or the same address. */
class Places {
  readonly #records: TopicRecord[] = []
  /** What each record had when it was added. */
  readonly #addresses: Address[] = []
  readonly #byKey = new Map<string, number>()
  readonly #bySlug = new Map<string, Map<string, number>>()

  /** `false`: another record has its key or its address. */
  add(at: number, record: TopicRecord): boolean {
    const slugs = this.#slugsOf(record)
    if ((this.#byKey.get(record.topicKey) ?? at) !== at || (slugs.get(record.slug) ?? at) !== at) return false
    this.#byKey.set(record.topicKey, at)
    slugs.set(record.slug, at)
    this.#records[at] = record
    const { topicKey, pageType, slug } = record
    this.#addresses[at] = { topicKey, pageType, slug }
    return true
  }

  #slugsOf({ pageType }: Address): Map<string, number> {
    const slugs = this.#bySlug.get(pageType) ?? new Map<string, number>()
    this.#bySlug.set(pageType, slugs)
    return slugs
  }

  /** Whether the list still has the records that were added, with the addresses that they had then, whoever had it meanwhile. */
  areOf(index: TopicIndex): boolean {
    const records = this.#records
    if (index.length !== records.length) return false
    for (let at = 0; at < records.length; at++) {
      const [record, address] = [records[at] as TopicRecord, this.#addresses[at] as Address]
      if (index[at] !== record || record.topicKey !== address.topicKey) return false
      if (record.slug !== address.slug || record.pageType !== address.pageType) return false
    }
    return true
  }

  positionOf(topicKey: string): number {
    return this.#byKey.get(topicKey) ?? -1
  }

  /** The records with the key or the address, in the order of the list. */
  near(address: Address): TopicRecord[] {
    const found = [this.#byKey.get(address.topicKey), this.#slugsOf(address).get(address.slug)]
    const positions = found.filter((at) => at !== undefined).sort((a, b) => a - b)
    return positions.map((at) => this.#records[at] as TopicRecord)
  }
}

/** `null`: two records have the same key or address. */
const known = new WeakMap<TopicIndex, Places | null>()

function placesOf(index: TopicIndex): Places | null {
  const places = isWorking(index) ? known.get(index) : null
  if (places === null || places?.areOf(index)) return places
  const made = new Places()
  const found = index.every((record, at) => made.add(at, record)) ? made : null
  known.set(index, found)
  return found
}

/** What the index has for an address. */
export interface Place {
  /** The position of the topic's record, or -1. */
  at: number
  record: TopicRecord | undefined
  /** The first record for which no topic can have the address. */
  rival: TopicRecord | undefined
}

export function placeOf(index: TopicIndex, address: Address): Place {
  const places = placesOf(index)
  const at = places
    ? places.positionOf(address.topicKey)
    : index.findIndex(({ topicKey }) => topicKey === address.topicKey)
  const rival = (places?.near(address) ?? index).find((other) => isRival(other, address))
  return { at, record: index[at], rival }
}

function isRival(other: TopicRecord, { topicKey, pageType, slug, documentId }: Address): boolean {
  if (other.topicKey !== topicKey) return other.pageType === pageType && other.slug === slug
  return other.slug !== slug || (other.documentId !== undefined && other.documentId !== documentId)
}

/** The index with the record in that place, or at its end; in place if the list is ours. */
export function withRecordIn(
  index: TopicIndex,
  { at, record: before }: Place,
  record: TopicRecord,
): TopicIndex {
  const records = workingList(index)
  const position = at === -1 ? index.length : at
  records[position] = record
  const isAtSameAddress = !before || (before.pageType === record.pageType && before.slug === record.slug)
  const places = known.get(records)
  if (places && !(isAtSameAddress && places.add(position, record))) known.delete(records)
  return records
}
