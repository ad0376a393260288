using System.Runtime.CompilerServices;

namespace IlgpuLoader.Formats.Pickle;

/// <summary>
/// Counts what the values of one pickle take, before it is taken: an object of .NET has 24 bytes or more, an opcode that makes
/// one has a single byte. What is dropped again stays counted, so that garbage is bounded as well.
/// </summary>
/// <param name="settings">The limits.</param>
/// <param name="errors">Names the opcode that goes beyond them.</param>
internal sealed class PickleBudget(PickleSettings settings, PickleErrors errors)
{
    /// <summary>A boxed number: the header of an object and eight bytes.</summary>
    public const int NumberBytes = 24;

    /// <summary>A list, set or dict with the list in it, both empty.</summary>
    public const int CollectionBytes = 64;

    /// <summary>An object's record.</summary>
    public const int ObjectBytes = 80;

    /// <summary>A storage's record.</summary>
    public const int StorageBytes = 32;

    // The header of an array, and of a string with its closing zero.
    private const int ArrayHeader = 24;

    // A tuple without its array.
    private const int TupleBytes = 32;

    // What List<T> begins with.
    private const int FirstCapacity = 4;

    private readonly long _maximumBytes = Math.Max(settings.OtherBytes, 0) > long.MaxValue - settings.MaximumPickleExpansionBytes
        ? long.MaxValue
        : Math.Max(settings.OtherBytes, 0) + settings.MaximumPickleExpansionBytes;

    /// <summary>The memory that has been counted so far, with what was spent before.</summary>
    public long Bytes { get; private set; } = settings.SpentBytes;

    /// <summary>The values that have been counted so far, with those before.</summary>
    public int Values { get; private set; } = settings.SpentValues;

    /// <summary>A value of so many bytes.</summary>
    public void AddValue(long bytes)
    {
        if (++Values > settings.MaximumPickleValues)
        {
            throw TooMany(Values);
        }

        Add(bytes);
    }

    /// <summary>
    /// Room on the stack for so many values at once, which need not differ: as many as there may be values at most, however much
    /// memory there is.
    /// </summary>
    public void AddSlots(long slots, int slotBytes)
    {
        if (slots / 2 >= settings.MaximumPickleValues)
        {
            throw TooMany((slots / 2) + 1);
        }

        AddArray(slots, slotBytes);
    }

    /// <summary>A tuple of so many items.</summary>
    public void AddTuple(int items) => AddValue(TupleBytes + ArrayBytes(items, sizeof(long)));

    /// <summary>A byte array.</summary>
    public void AddBytes(int length) => AddValue(ArrayBytes(length, 1));

    /// <summary>Text of so many UTF-16 units.</summary>
    public void AddText(int length) => AddValue(ArrayBytes(length, sizeof(char)));

    /// <summary>An array of references or entries.</summary>
    public void AddArray(long length, int elementBytes) => Add(ArrayBytes(length, elementBytes));

    /// <summary>Memory that is no value of its own.</summary>
    public void Add(long bytes)
    {
        Bytes += bytes;
        if (Bytes > _maximumBytes)
        {
            throw errors.Beyond(
                "memory that the pickle's values take beyond the file's own size",
                Bytes - (_maximumBytes - settings.MaximumPickleExpansionBytes),
                settings.MaximumPickleExpansionBytes,
                nameof(PickleSettings.MaximumPickleExpansionBytes));
        }
    }

    /// <summary>Makes room for more items in a list, which doubles as List&lt;T&gt; does by itself.</summary>
    public void Grow<T>(List<T> list, int more)
    {
        var needed = list.Count + more;
        if (needed > list.Capacity)
        {
            var capacity = Math.Max(needed, Math.Max(FirstCapacity, (int)Math.Min(2L * list.Capacity, Array.MaxLength)));
            AddArray(capacity, Unsafe.SizeOf<T>());
            list.Capacity = capacity;
        }
    }

    private CheckpointLimitException TooMany(long values) =>
        errors.Beyond("number of the pickle's values", values, settings.MaximumPickleValues, nameof(PickleSettings.MaximumPickleValues));

    private static long ArrayBytes(long length, int elementBytes) => ArrayHeader + (((length * elementBytes) + 7) & ~7L);
}
