namespace IlgpuLoader.Formats.Pickle;

/// <summary>
/// Keeps track of how deep containers lie in one another, so that what walks the values later need not fear for its stack.
/// </summary>
/// <param name="settings">The limit.</param>
/// <param name="errors">Names the opcode that goes beyond it.</param>
internal sealed class PickleDepth(PickleSettings settings, PickleErrors errors)
{
    private bool _isInexact;

    /// <summary>Begins with a pickle.</summary>
    public void Clear() => _isInexact = false;

    /// <summary>Notes that a value is put into a container.</summary>
    public void Put(object value, PickleContainer into)
    {
        if (value is not PickleContainer child)
        {
            return;
        }

        if (!child.IsHeld)
        {
            child.IsHeld = true;
        }

        if (child.Depth < into.Depth)
        {
            return;
        }

        // Picklers fill a container before they put it into another, except where values lead back to themselves. Then those
        // that hold this one are deeper than they know, or it is none the deeper for holding itself: the whole is measured at
        // the end.
        into.Depth = child.Depth == int.MaxValue ? int.MaxValue : child.Depth + 1;
        _isInexact |= into.IsHeld;
        if (into.Depth > settings.MaximumPickleDepth && !_isInexact)
        {
            throw Beyond(into.Depth);
        }
    }

    /// <summary>Notes that values are put into a container.</summary>
    public void Put(ReadOnlySpan<object> values, PickleContainer into)
    {
        foreach (var value in values)
        {
            Put(value, into);
        }
    }

    /// <summary>Holds what a pickle gives against the limit.</summary>
    public void Finish(object value)
    {
        if (_isInexact && value is PickleContainer root)
        {
            Measure(root);
        }
    }

    // Every container once, on a stack of its own that is never higher than the limit.
    private void Measure(PickleContainer root)
    {
        var path = new Stack<(PickleContainer Container, int Next)>();
        Enter(root, path);
        while (path.TryPop(out var step))
        {
            var (container, next) = step;
            if (next == container.ChildCount)
            {
                container.Visit = PickleVisit.Done;
                if (path.TryPeek(out var holder))
                {
                    Deepen(holder.Container, container);
                }

                continue;
            }

            path.Push((container, next + 1));
            if (container.ChildAt(next) is not PickleContainer child || child.Visit == PickleVisit.Within)
            {
                continue;
            }

            // The empty tuple belongs to all readers, and takes no notes of one.
            if (child.Visit == PickleVisit.Done || ReferenceEquals(child, PickleTuple.Empty))
            {
                Deepen(container, child);
            }
            else
            {
                Enter(child, path);
            }
        }
    }

    private void Deepen(PickleContainer container, PickleContainer child)
    {
        container.Depth = Math.Max(container.Depth, child.Depth + 1);
        if (container.Depth > settings.MaximumPickleDepth)
        {
            throw Beyond(container.Depth);
        }
    }

    private void Enter(PickleContainer container, Stack<(PickleContainer Container, int Next)> path)
    {
        container.Visit = PickleVisit.Within;
        container.Depth = 1;
        path.Push((container, 0));
        if (path.Count > settings.MaximumPickleDepth)
        {
            throw Beyond(path.Count);
        }
    }

    private CheckpointLimitException Beyond(int depth) =>
        errors.Beyond(
            "depth of containers in the pickle",
            depth,
            settings.MaximumPickleDepth,
            nameof(PickleSettings.MaximumPickleDepth));
}
