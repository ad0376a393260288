namespace IlgpuLoader.Formats.Pickle;

/// <summary>The stack of values, with marks that nothing but an opcode for marks takes from below.</summary>
/// <param name="budget">Counts what it takes: one opcode of one byte makes a slot of eight.</param>
/// <param name="errors">Names the opcode that finds too little.</param>
internal sealed class PickleStack(PickleBudget budget, PickleErrors errors)
{
    private object[] _items = new object[256];
    private int[] _marks = new int[64];
    private int _count;
    private int _markCount;

    // The stack as seen by an opcode begins at the last mark.
    private int _bottom;

    /// <summary>Begins with a pickle.</summary>
    public void Clear()
    {
        Array.Clear(_items);
        _count = _markCount = _bottom = 0;
    }

    /// <summary>Puts a value on top.</summary>
    public void Push(object value)
    {
        if (_count == _items.Length)
        {
            budget.AddSlots(2L * _count, sizeof(long));
            Array.Resize(ref _items, checked(2 * _count));
        }

        _items[_count++] = value;
    }

    /// <summary>Takes the top.</summary>
    public object Pop()
    {
        Need(1);
        return _items[--_count];
    }

    /// <summary>The top, which stays.</summary>
    public object Peek()
    {
        Need(1);
        return _items[_count - 1];
    }

    /// <summary>Takes so many values; they stay valid until something is pushed.</summary>
    /// <returns>The values, the top last.</returns>
    public ReadOnlySpan<object> Pop(int count)
    {
        Need(count);
        _count -= count;
        return _items.AsSpan(_count, count);
    }

    /// <summary>Sets a mark.</summary>
    public void Mark()
    {
        if (_markCount == _marks.Length)
        {
            budget.AddSlots(2L * _markCount, sizeof(int));
            Array.Resize(ref _marks, checked(2 * _markCount));
        }

        _marks[_markCount++] = _bottom = _count;
    }

    /// <summary>Takes all values above the last mark, and the mark; they stay valid until something is pushed.</summary>
    /// <returns>The values, the top last.</returns>
    public ReadOnlySpan<object> PopMark()
    {
        if (_markCount == 0)
        {
            throw errors.Invalid("needs a MARK, and there is none");
        }

        var mark = _marks[--_markCount];
        var items = _items.AsSpan(mark, _count - mark);
        _count = mark;
        _bottom = _markCount == 0 ? 0 : _marks[_markCount - 1];
        return items;
    }

    /// <summary>Drops the top, which may be a mark, as Python's POP has it.</summary>
    public void Drop()
    {
        if (_markCount > 0 && _count == _bottom)
        {
            _ = PopMark();
        }
        else
        {
            _ = Pop();
        }
    }

    private void Need(int count)
    {
        if (_count - _bottom < count)
        {
            throw errors.Invalid(
                $"needs {(count == 1 ? "a value" : $"{count} values")} on the stack, and {_count - _bottom} are there"
                    + (_markCount > 0 ? " above the last MARK" : ""));
        }
    }
}
