using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// Looks for something anywhere below a value. What was searched in vain is not searched again, and every step is counted: values
/// may lead back to themselves, or be shared without end. Not safe for several threads.
/// </summary>
/// <param name="isFound">Whether a value is what is looked for.</param>
/// <param name="findings">Counts the memory.</param>
internal sealed class TorchSearch(Predicate<object> isFound, TorchFindings findings)
{
    // A step on the stack and an entry of the set.
    private const int StepBytes = 24;

    private readonly HashSet<object> _without = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<object> _with = new(ReferenceEqualityComparer.Instance);

    /// <summary>Whether a value is or holds what is looked for.</summary>
    public bool Holds(object value)
    {
        if (value is not PickleContainer root || isFound(value))
        {
            return isFound(value);
        }

        if (_with.Contains(root) || _without.Contains(root))
        {
            return _with.Contains(root);
        }

        var met = new HashSet<object>(ReferenceEqualityComparer.Instance) { root };
        var open = new Stack<PickleContainer>([root]);
        while (open.TryPop(out var container))
        {
            findings.Charge(StepBytes * (1L + container.ChildCount));
            for (var i = 0; i < container.ChildCount; i++)
            {
                var child = container.ChildAt(i);
                if (child is not null && (isFound(child) || _with.Contains(child)))
                {
                    _ = _with.Add(root);
                    return true;
                }

                if (child is PickleContainer next && !_without.Contains(next) && met.Add(next))
                {
                    open.Push(next);
                }
            }
        }

        _without.UnionWith(met);
        return false;
    }
}
