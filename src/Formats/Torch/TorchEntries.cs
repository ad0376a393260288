using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// What dictionaries hold as Python would have it: a key that is set again keeps its place and takes the last value. Not safe
/// for several threads.
/// </summary>
/// <param name="records">The roles of globals.</param>
/// <param name="keys">Tells which keys are equal.</param>
/// <param name="findings">Counts the memory.</param>
internal sealed class TorchEntries(TorchRecord records, TorchKeys keys, TorchFindings findings)
{
    // A child with its key, and its place in the dictionary of keys.
    private const int EntryBytes = 16;

    // What the arguments of ordered dictionaries give, which may be named often.
    private readonly Dictionary<PickleObject, IReadOnlyList<KeyValuePair<object, object>>> _known = new(ReferenceEqualityComparer.Instance);

    /// <summary>
    /// What an OrderedDict or Counter holds: what it was made of (pairs, as Python 2 writes them, or another dict), then what was
    /// set.
    /// </summary>
    /// <param name="dictionary">The record.</param>
    /// <param name="path">Where it is, for messages.</param>
    /// <exception cref="InvalidCheckpointException">It was made of something else.</exception>
    public IReadOnlyList<KeyValuePair<object, object>> Of(PickleObject dictionary, TorchPath path)
    {
        // One may be made of another, and that of another: from the innermost outwards.
        List<PickleObject> chain = [];
        IReadOnlyList<KeyValuePair<object, object>>? given = null;
        for (var at = dictionary; given is null;)
        {
            if (_known.TryGetValue(at, out given))
            {
                break;
            }

            chain.Add(at);
            switch (at.Arguments.Items)
            {
                case []:
                    given = [];
                    break;
                case [PickleDictionary entries]:
                    given = entries.Entries;
                    break;
                case [PickleObject inner] when records.RoleOf(inner.Global) == TorchRole.Dictionary:
                    at = inner;
                    break;
                // A Counter of a list would count its items.
                case [PickleList pairs] when at.Global.Name != "Counter":
                    given = Pairs(at, pairs.Items, path);
                    break;
                case [PickleTuple pairs] when at.Global.Name != "Counter":
                    given = Pairs(at, pairs.Items, path);
                    break;
                default:
                    throw NotPairs(at, path);
            }
        }

        for (var i = chain.Count - 1; i >= 0; i--)
        {
            if (chain[i].Entries.Count > 0)
            {
                findings.Charge(EntryBytes * (1L + given!.Count + chain[i].Entries.Count));
                given = given.Count == 0 ? chain[i].Entries : [.. given, .. chain[i].Entries];
            }

            if (chain[i].Arguments.Items.Length > 0)
            {
                findings.Charge(4 * EntryBytes);
                _known.Add(chain[i], given!);
            }
        }

        return given!;
    }

    /// <summary>The entries with every key once.</summary>
    public (object? Key, object Value)[] Distinct(IReadOnlyList<KeyValuePair<object, object>> entries, TorchPath path)
    {
        findings.Charge(EntryBytes * (1L + entries.Count));
        var places = new Dictionary<object, int>(entries.Count, TorchKeyComparer.Instance);
        var children = new (object? Key, object Value)[entries.Count];
        var count = 0;
        foreach (var (key, value) in entries)
        {
            var comparable = keys.Comparable(key, path);
            if (places.TryAdd(comparable, count))
            {
                children[count++] = (key, value);
            }
            else
            {
                children[places[comparable]].Value = value;
            }
        }

        return count == children.Length ? children : children[..count];
    }

    private KeyValuePair<object, object>[] Pairs(PickleObject dictionary, IReadOnlyList<object> items, TorchPath path)
    {
        findings.Charge(EntryBytes * (1L + items.Count));
        var pairs = new KeyValuePair<object, object>[items.Count];
        for (var i = 0; i < pairs.Length; i++)
        {
            pairs[i] = items[i] switch
            {
                PickleList { Items: [var key, var value] } => new(key, value),
                PickleTuple { Items: [var key, var value] } => new(key, value),
                _ => throw NotPairs(dictionary, path),
            };
        }

        return pairs;
    }

    private InvalidCheckpointException NotPairs(PickleObject dictionary, TorchPath path) =>
        records.Invalid(path, $"a {dictionary.Global.FullName} is made of something other than a dict or a list of keys and values");
}
