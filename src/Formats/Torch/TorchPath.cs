namespace IlgpuLoader.Formats.Torch;

/// <summary>Where a value is in a file: the keys that lead to it, from the top. Immutable.</summary>
internal sealed class TorchPath
{
    private TorchPath(TorchPath? parent, string key)
    {
        (Parent, Key) = (parent, key);
        Below = parent?.Parent is null ? key : $"{parent.Below}.{key}";
    }

    /// <summary>What it lies below; null at the top.</summary>
    public TorchPath? Parent { get; }

    /// <summary>The last key; empty at the top.</summary>
    public string Key { get; }

    /// <summary>The top, which has no key.</summary>
    public static TorchPath Top { get; } = new(null, "");

    /// <summary>Whether this is the top.</summary>
    public bool IsTop => Parent is null;

    /// <summary>The keys joined by dots, which names what lies here; a dot at the top.</summary>
    public string Name => IsTop ? "." : Below;

    // The same, but nothing at the top.
    private string Below { get; }

    /// <summary>The path of what lies here under a key.</summary>
    public TorchPath Child(string key) => new(this, key);

    /// <summary>The keys one by one, in quotes: two paths may have one name.</summary>
    public override string ToString()
    {
        var keys = new List<string>();
        for (var path = this; path.Parent is { } parent; path = parent)
        {
            keys.Add(Quoted.Name(path.Key));
        }

        keys.Reverse();
        return keys.Count == 0 ? "the top" : string.Join(" → ", keys);
    }
}
