namespace IlgpuLoader.Gpu;

/// <summary>
/// One launch of a strided copy: up to four nested loops over words, which a thread finds its place in from its index alone.
/// </summary>
/// <remarks>
/// A thread's index is below 2^31. Each division by a loop's size is one 64-bit product and a shift, exact for such numbers
/// (Granlund and Montgomery 1994): devices have no instruction that divides.
/// </remarks>
internal readonly struct CopyLoops
{
    private readonly Loop _first;
    private readonly Loop _second;
    private readonly Loop _third;
    private readonly long _outerSource;
    private readonly long _outerDestination;
    private readonly long _source;
    private readonly long _destination;

    /// <summary>The most loops of a launch.</summary>
    public const int MostLoops = 4;

    /// <summary>Makes a launch.</summary>
    /// <param name="loops">One to four loops, outermost first, each of less than 2^31 rounds.</param>
    /// <param name="source">The first word in the source.</param>
    /// <param name="destination">The first word in the destination.</param>
    public CopyLoops(ReadOnlySpan<StridedLayout.Dimension> loops, long source, long destination)
    {
        _first = loops.Length > 1 ? new Loop(loops[^1]) : new Loop(new(1, 0, 0));
        _second = loops.Length > 2 ? new Loop(loops[^2]) : new Loop(new(1, 0, 0));
        _third = loops.Length > 3 ? new Loop(loops[^3]) : new Loop(new(1, 0, 0));
        (_outerSource, _outerDestination) = (loops[0].Source, loops[0].Destination);
        (_source, _destination) = (source, destination);
    }

    /// <summary>Where a thread reads and writes, in words.</summary>
    public (long Source, long Destination) Find(int thread)
    {
        var second = _first.Divide(thread);
        var third = _second.Divide(second);
        var outer = _third.Divide(third);
        var (i, j, k) = (thread - (second * _first.Size), second - (third * _second.Size), third - (outer * _third.Size));
        return (
            _source + (i * _first.Source) + (j * _second.Source) + (k * _third.Source) + (outer * _outerSource),
            _destination + (i * _first.Destination) + (j * _second.Destination) + (k * _third.Destination)
                + (outer * _outerDestination));
    }

    private readonly struct Loop
    {
        private readonly ulong _factor;
        private readonly int _shift;

        public Loop(StridedLayout.Dimension dimension)
        {
            Size = checked((int)dimension.Size);
            (Source, Destination) = (dimension.Source, dimension.Destination);
            _shift = 31 + (32 - int.LeadingZeroCount(Size - 1));
            _factor = (ulong)(((UInt128.One << _shift) + (UInt128)(Size - 1)) / (UInt128)Size);
        }

        public int Size { get; }

        public long Source { get; }

        public long Destination { get; }

        public int Divide(int number) => (int)(((ulong)number * _factor) >> _shift);
    }
}
