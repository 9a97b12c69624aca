// The values of indexes that are kept from one update to the next, and what a function has changed of one. Compiled by the addon, as a script.
//
// A value that is kept is frozen, and all of it was made by JSON.parse: nobody can change what the next function gets. What a function has put
// into an index is printed and parsed once more for that, so none of the caller's own objects are kept, or frozen.

;(() => {
  const { defineProperty, freeze, getPrototypeOf, hasOwn, is, isFrozen, keys, values } = Object
  const { isArray } = Array
  const tagOf = Object.prototype.toString

  /** More edits than that cost more than to print all. */
  const MOST_EDITS = 100

  /** How long all their pointers are together: each is walked from the top of the text. */
  const MOST_POINTERS = 1 << 16

  /** What is nested deeper is not frozen, and not kept: V8 prints fewer levels of frozen arrays than of others. */
  const MOST_LEVELS = 100

  /** How large the texts are together of which the values are kept: a value takes several times as much memory. */
  const MOST_TEXT = 64 << 20

  /** What JSON leaves out. */
  const nothing = Symbol('nothing')

  /** The values by the editions of their texts, the one that was kept first at the front. */
  const kept = new Map()

  const isContainer = (value) => typeof value === 'object' && value !== null && !JSON.isRawJSON?.(value)

  /** Whether JSON.stringify writes its items, or its enumerable members, and does nothing else. */
  function isPlain(value) {
    if (typeof value.toJSON === 'function') return false
    if (isArray(value)) return true
    const proto = getPrototypeOf(value)
    return (proto === null || getPrototypeOf(proto) === null) && tagOf.call(value) === '[object Object]'
  }

  /**
   * Freezes what JSON.parse has made. Whether that can be kept: it is frozen as a whole, and JSON.stringify prints all of its numbers; of 1e400 and
   * -0 it makes others.
   */
  function freezeAll(value) {
    let [level, depth, isPrintable] = [[value], 0, true]
    for (; level.length > 0 && depth < MOST_LEVELS; depth++) {
      const inside = []
      for (const next of level) {
        if (typeof next !== 'object' || next === null || isFrozen(next)) continue
        freeze(next)
        for (const inner of isArray(next) ? next : values(next)) {
          if (typeof inner === 'object' && inner !== null) inside.push(inner)
          else if (typeof inner === 'number' && (is(inner, -0) || !Number.isFinite(inner)))
            isPrintable = false
        }
      }
      level = inside
    }
    return isPrintable && level.length === 0
  }

  /** `up` is where the container is. */
  function pointerTo({ up, key }) {
    const steps = []
    for (let at = { up, key }; at.up; at = at.up)
      steps.push(`/${String(at.key).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    if (steps.length > MOST_LEVELS) throw new Error('too deep')
    return steps.reverse().join('')
  }

  /** What a function has made of a value that is kept: the next one, and the edits that make the next text of the last one. */
  class Comparison {
    /** Of each: what it is, where, and the text of what comes there. */
    edits = []
    /** Something may be in it that JSON would lose. */
    mayLose = false
    #pointers = 0
    #reviver

    constructor(reviver) {
      this.#reviver = reviver
    }

    /** The next value of all; `undefined`: there are no edits that make the next text. */
    whole(old, made) {
      if (!isContainer(old) || isArray(old) !== isArray(made) || !isPlain(made)) return undefined
      return made === old ? old : this.#inside(old, made, { up: undefined, key: '' })
    }

    #inside(old, made, at) {
      return isArray(made) ? this.#items(old, made, at) : this.#members(old, made, at)
    }

    /** The next value of what is at a place; `nothing`: JSON leaves it out. */
    #next(old, made, at) {
      if (made === old) return old
      if (isContainer(old) && isContainer(made) && isArray(old) === isArray(made) && isPlain(made)) {
        const { length } = this.edits
        const next = this.#inside(old, made, at)
        if (next !== undefined) return next
        // A large one is printed once, with all the rest, and parsed by the next update.
        if (keys(old).length > MOST_EDITS) throw new Error('too many members')
        this.edits.length = length
      }
      return this.#put('set', made, at)
    }

    #edit(kind, at, text) {
      const pointer = pointerTo(at)
      this.#pointers += pointer.length
      if (this.edits.length >= 3 * MOST_EDITS || this.#pointers > MOST_POINTERS)
        throw new Error('too many edits')
      this.edits.push(kind, pointer, text)
    }

    /** Prints `made`, and parses that. */
    #put(kind, made, at) {
      // It comes with its key, which a method toJSON is given.
      const printed = JSON.stringify({ __proto__: null, [at.key]: made })
      let text = printed.slice(JSON.stringify(String(at.key)).length + 2, -1)
      if (printed === '{}') {
        if (typeof at.key === 'string') return nothing
        text = 'null'
      }
      if (text.includes('{}')) this.mayLose = true
      const next = this.#reviver ? JSON.parse(text, this.#reviver) : JSON.parse(text)
      // Raw JSON can say the same in other words, which would not be there any more when all is printed.
      if (JSON.stringify(next) !== text) throw new Error('not as it is printed')
      this.#edit(kind, at, text)
      if (!freezeAll(next)) throw new Error('too deep')
      return next
    }

    /** A name that is no Unicode is another one in a text that is edited, and can be that of another member. */
    #remove(up, key) {
      if (typeof key === 'string' && !key.isWellFormed()) throw new Error('no name for a pointer')
      this.#edit('remove', { up, key }, '')
    }

    /** `undefined`: the text of its members is not the one before with some of them set, removed, or added behind the others. */
    #members(old, made, up) {
      const before = keys(old)
      const changes = []
      let [at, isNew] = [0, false]
      for (const key of keys(made)) {
        const value = made[key]
        const was = hasOwn(old, key)
        if (was) {
          const from = at
          while (at < before.length && before[at] !== key) at++
          if (isNew || at === before.length) return undefined
          for (let gone = from; gone < at; gone++) changes.push([before[gone], nothing])
          at++
        }
        if (!key.isWellFormed()) return undefined
        const next = was ? this.#next(old[key], value, { up, key }) : this.#put('set', value, { up, key })
        isNew ||= !was && next !== nothing
        if (was ? next !== old[key] : next !== nothing) changes.push([key, next])
      }
      for (; at < before.length; at++) changes.push([before[at], nothing])
      if (changes.length === 0) return old
      const all = { ...old }
      for (const [key, value] of changes) {
        if (value === nothing) {
          this.#remove(up, key)
          delete all[key]
        } else {
          defineProperty(all, key, { value, configurable: true, enumerable: true, writable: true })
        }
      }
      return freeze(all)
    }

    #items(old, made, up) {
      let [start, end] = [0, 0]
      const least = Math.min(old.length, made.length)
      while (start < least && made[start] === old[start]) start++
      while (end < least - start && made[made.length - 1 - end] === old[old.length - 1 - end]) end++
      if (start === old.length && start === made.length) return old
      // Not by `slice`, which takes 50 times as long with a frozen array.
      const items = [...old]
      const next = items.slice(0, start)
      const [oldEnd, madeEnd] = [old.length - end, made.length - end]
      const anchors = this.#anchors(old, made, start, oldEnd, madeEnd)
      let from = start
      let isSame = oldEnd === madeEnd
      for (const [to, upTo] of [...anchors, [oldEnd, madeEnd]]) {
        // What is between two items that are still there: changed ones, and then some that are gone or new.
        while (from < to && next.length < upTo) {
          const item = this.#next(old[from], made[next.length], { up, key: next.length })
          if (item !== old[from++]) isSame = false
          next.push(item)
        }
        isSame &&= from === to && next.length === upTo
        for (; from < to; from++) this.#remove(up, next.length)
        while (next.length < upTo) next.push(this.#put('add', made[next.length], { up, key: next.length }))
        if (to < oldEnd) next.push(old[from++])
      }
      return isSame ? old : freeze(end > 0 ? next.concat(items.slice(oldEnd)) : next)
    }

    /** Places in the old and the new array at which the same item is, in ascending order. */
    #anchors(old, made, start, oldEnd, madeEnd) {
      const anchors = []
      if (start === oldEnd || start === madeEnd) return anchors
      if (oldEnd === madeEnd) {
        // Of as many items each is what has become of the one at its place, unless most have moved.
        let others = 0
        for (let at = start; at < oldEnd && others <= MOST_EDITS; at++) if (made[at] !== old[at]) others++
        if (others <= MOST_EDITS) return anchors
      }
      const places = new Map()
      for (let at = oldEnd - 1; at >= start; at--) places.set(old[at], at)
      let least = start
      for (let at = start; at < madeEnd; at++) {
        const place = places.get(made[at])
        if (place === undefined || place < least) continue
        anchors.push([place, at])
        least = place + 1
      }
      return anchors
    }
  }

  return {
    freezeAll,

    /** What a function has made of a value that is kept; `undefined`: all is to be printed. */
    compare(old, made, reviver) {
      try {
        const comparison = new Comparison(reviver)
        const next = comparison.whole(old, made)
        return next && { next, edits: comparison.edits, mayLose: comparison.mayLose }
      } catch {
        // A getter's, a proxy's or a method's doing, or no JSON: JSON.stringify tells.
        return undefined
      }
    },

    /** Forgets the values of which the texts are not among these. */
    retain(editions) {
      for (const known of kept.keys()) if (!editions.includes(known)) kept.delete(known)
    },

    /** Keeps a value for the update that finds this edition of a text of this size; then those that were kept first may have to go. */
    keep(edition, numbers, size, value) {
      kept.set(edition, { numbers, size, value })
      let rest = MOST_TEXT
      for (const known of [...kept.keys()].reverse()) {
        rest -= kept.get(known).size
        // One may be larger: then it is the only one.
        if (rest < 0 && known !== edition) kept.delete(known)
      }
    },

    /** The value of a text, if it was parsed with these `numbers`. It is handed out once. */
    take(edition, numbers) {
      const found = kept.get(edition)
      kept.delete(edition)
      return found?.numbers === numbers ? found.value : undefined
    },
  }
})()
