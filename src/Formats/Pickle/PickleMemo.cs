namespace IlgpuLoader.Formats.Pickle;

/// <summary>
/// What a pickle remembers, by index. Picklers count up from zero, so indexes near what is there are kept in an array; far ones,
/// which some tools leave and an attack would use to make the array large, in a dictionary.
/// </summary>
/// <param name="settings">The most entries.</param>
/// <param name="budget">Counts what it takes.</param>
/// <param name="errors">Names the opcode.</param>
internal sealed class PickleMemo(PickleSettings settings, PickleBudget budget, PickleErrors errors)
{
    // An entry of a dictionary with its share of the buckets, times two for the doubling.
    private const int FarEntryBytes = 80;

    private object?[] _near = new object?[256];
    private Dictionary<uint, object>? _far;
    private int _count;

    /// <summary>Begins with a pickle.</summary>
    public void Clear()
    {
        Array.Clear(_near);
        _far = null;
        _count = 0;
    }

    /// <summary>What was remembered.</summary>
    public object Get(uint index)
    {
        if (index < (uint)_near.Length && _near[index] is { } near)
        {
            return near;
        }

        return _far is not null && _far.TryGetValue(index, out var far)
            ? far
            : throw errors.Invalid($"asks for entry {index} of the memo, and nothing was put there");
    }

    /// <summary>Remembers a value at the next index.</summary>
    public void Add(object value) => Put((uint)_count, value);

    /// <summary>Remembers a value; one that was there is forgotten.</summary>
    public void Put(uint index, object value)
    {
        if (index >= (uint)_near.Length && index < 2L * _near.Length && index <= 2L * _count)
        {
            budget.AddArray(2L * _near.Length, sizeof(long));
            Array.Resize(ref _near, checked(2 * _near.Length));
        }

        if (index < (uint)_near.Length)
        {
            if (_near[index] is null && _far?.Remove(index) != true)
            {
                Count();
            }

            _near[index] = value;
            return;
        }

        if (_far?.ContainsKey(index) != true)
        {
            Count();
            budget.Add(FarEntryBytes);
        }

        (_far ??= new(SeededIndexComparer.Instance))[index] = value;
    }

    private void Count()
    {
        if (++_count > settings.MaximumPickleMemoEntries)
        {
            throw errors.Beyond(
                "number of the pickle's memo entries",
                _count,
                settings.MaximumPickleMemoEntries,
                nameof(PickleSettings.MaximumPickleMemoEntries));
        }
    }
}
