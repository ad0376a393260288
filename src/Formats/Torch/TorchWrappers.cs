using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// Finds what parameters and TorchScript's type tags hold. A pickle may lay hundreds of them in one another and name the
/// outermost a hundred thousand times, so each is gone through once. Not safe for several threads.
/// </summary>
/// <param name="records">The roles of globals.</param>
/// <param name="findings">Counts the memory.</param>
internal sealed class TorchWrappers(TorchRecord records, TorchFindings findings)
{
    // An entry of the dictionary with its share of the doubling, and its place in the list while a chain is followed.
    private const int EntryBytes = 80;

    private readonly Dictionary<PickleObject, object> _inside = new(ReferenceEqualityComparer.Instance);

    /// <summary>What a value holds, if it is a wrapper or wrappers in one another; else the value.</summary>
    public object Inside(object value)
    {
        if (!IsWrapper(value, out var inner))
        {
            return value;
        }

        if (_inside.TryGetValue((PickleObject)value, out var known))
        {
            return known;
        }

        List<PickleObject> chain = [];
        do
        {
            findings.Charge(EntryBytes);
            chain.Add((PickleObject)value);
            value = inner;
        }
        while (IsWrapper(value, out inner) && !_inside.TryGetValue((PickleObject)value, out known));

        var inside = known ?? value;
        foreach (var wrapper in chain)
        {
            _inside.Add(wrapper, inside);
        }

        return inside;
    }

    // Arguments are a tuple, which is there before the record that holds it: a chain never leads back to itself.
    private bool IsWrapper(object value, out object inner)
    {
        if (value is PickleObject { Arguments.Items: [var first, ..] } record && records.RoleOf(record.Global) is TorchRole.Parameter or TorchRole.Tagged)
        {
            inner = first;
            return true;
        }

        inner = value;
        return false;
    }
}
