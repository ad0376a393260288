namespace IlgpuLoader.Formats.Pickle;

/// <summary>What a pickle would make by calling something: a record of the call, which never took place.</summary>
/// <param name="global">What would be called.</param>
/// <param name="arguments">With what.</param>
internal sealed class PickleObject(PickleGlobal global, PickleTuple arguments) : PickleContainer
{
    // Arguments, arguments by name and state.
    private const int FixedChildren = 3;

    /// <summary>What REDUCE or NEWOBJ would call.</summary>
    public PickleGlobal Global { get; } = global;

    /// <summary>With what.</summary>
    public PickleTuple Arguments { get; } = arguments;

    // A pickle is held in one array, so that an int tells every place of it.

    /// <summary>Where the opcode that calls it stands, in bytes from the start of the pickle.</summary>
    public int Offset { get; init; }

    /// <summary>The arguments by name that NEWOBJ_EX passes, where there are any.</summary>
    public PickleDictionary? NamedArguments { get; internal set; }

    /// <summary>What BUILD passes; of several the last. Null without one.</summary>
    public object? State { get; internal set; }

    /// <summary>What APPEND, APPENDS and ADDITEMS put into it, in order.</summary>
    public IReadOnlyList<object> Items => ItemList ?? (IReadOnlyList<object>)[];

    /// <summary>What SETITEM and SETITEMS put into it, in order; a key that was set twice is there twice.</summary>
    public IReadOnlyList<KeyValuePair<object, object>> Entries =>
        EntryList ?? (IReadOnlyList<KeyValuePair<object, object>>)[];

    // Made when first needed: most objects are tensors, which have neither.
    internal List<object>? ItemList { get; set; }

    internal List<KeyValuePair<object, object>>? EntryList { get; set; }

    internal override int ChildCount => FixedChildren + (ItemList?.Count ?? 0) + (2 * (EntryList?.Count ?? 0));

    internal override object? ChildAt(int index)
    {
        switch (index)
        {
            case 0:
                return Arguments;
            case 1:
                return NamedArguments;
            case 2:
                return State;
        }

        var item = index - FixedChildren;
        var items = ItemList?.Count ?? 0;
        if (item < items)
        {
            return ItemList![item];
        }

        var entry = EntryList![(item - items) / 2];
        return ((item - items) & 1) == 0 ? entry.Key : entry.Value;
    }
}
