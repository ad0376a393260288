using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Sums up chunks, one a group of threads: what <see cref="ChunkMoments"/> does, in the same order, to the same bits.
/// </summary>
/// <remarks>
/// Not by the reductions of ILGPU.Algorithms: theirs add in the order in which threads come, which rounds differently from run to
/// run, and need shuffles or atomics of doubles that not every OpenCL device has. A fixed tree in shared memory needs neither.
/// </remarks>
internal static class SummaryKernels
{
    /// <summary>The threads of a group: one for each sum. Fewer do, where a device has no groups of this size.</summary>
    public const int GroupSize = ChunkMoments.Step;

    /// <summary>The doubles that are written for each chunk: sum, squares, rest, minimum, maximum, number of zeros.</summary>
    public const int ResultLength = 6;

    // Shared memory: the same six for each of the sums.
    private const int Sums = 0;
    private const int Squares = GroupSize;
    private const int Rests = 2 * GroupSize;
    private const int Minima = 3 * GroupSize;
    private const int Maxima = 4 * GroupSize;
    private const int Zeros = 5 * GroupSize;

    /// <summary>Sums up the chunk of this group.</summary>
    /// <typeparam name="T">The type of a value.</typeparam>
    /// <typeparam name="TWiden">Turns one into a double.</typeparam>
    /// <param name="values">All values of the launch.</param>
    /// <param name="results">Receives <see cref="ResultLength"/> doubles a chunk; those of a chunk whose sum is not finite mean nothing but that.</param>
    /// <param name="nothing">0, which the compiler must not know.</param>
    public static void Summarise<T, TWiden>(ArrayView<T> values, ArrayView<double> results, long nothing)
        where T : unmanaged
        where TWiden : struct, IWiden<T>
    {
        var shared = SharedMemory.Allocate<double>(ResultLength * GroupSize);
        long chunk = ILGPU.Grid.IdxX;
        var start = chunk * Moments.ChunkLength;
        var left = values.Length - start;
        var count = left < Moments.ChunkLength ? (int)left : Moments.ChunkLength;
        var whole = count / GroupSize * GroupSize;
        for (int slot = Group.IdxX; slot < GroupSize; slot += Group.DimX)
        {
            AddValues<T, TWiden>(values, start, slot, whole, shared);
        }

        Group.Barrier();
        AddAcross(shared, 8, 8);
        AddAcross(shared, 16, 24);
        AddAcross(shared, 4, 28);
        AddAcross(shared, 2, 30);
        AddAcross(shared, 1, 31);

        // Every thread does the rest of the first pass: the second needs the mean.
        var sum = shared[Sums];
        for (var i = whole; i < count; i++)
        {
            sum += TWiden.ToDouble(values[start + i]);
        }

        var mean = sum / count;
        for (int slot = Group.IdxX; slot < GroupSize; slot += Group.DimX)
        {
            AddDeviations<T, TWiden>(values, start, slot, whole, shared, mean, nothing);
        }

        Group.Barrier();
        AddDeviationsAcross(shared, 8, 8);
        AddDeviationsAcross(shared, 16, 24);
        AddDeviationsAcross(shared, 4, 28);
        AddDeviationsAcross(shared, 2, 30);
        AddDeviationsAcross(shared, 1, 31);

        if (Group.IdxX == 0)
        {
            var tally = new ValueTally(sum, shared[Minima], shared[Maxima], shared[Zeros]);
            var deviations = new DeviationTally(shared[Squares], shared[Rests]);
            for (var i = whole; i < count; i++)
            {
                var value = TWiden.ToDouble(values[start + i]);
                tally = tally.With(value);
                deviations = deviations.With(value - mean, nothing);
            }

            var result = chunk * ResultLength;
            results[result] = sum;
            results[result + 1] = deviations.Squares;
            results[result + 2] = deviations.Rest;
            results[result + 3] = tally.Minimum;
            results[result + 4] = tally.Maximum;
            results[result + 5] = tally.Zeros;
        }
    }

    private static void AddValues<T, TWiden>(ArrayView<T> values, long start, int slot, int whole, ArrayView<double> shared)
        where T : unmanaged
        where TWiden : struct, IWiden<T>
    {
        var tally = new ValueTally(0, double.PositiveInfinity, double.NegativeInfinity, 0);
        var i = slot;
        // Loads do not wait for one another; the additions must.
        for (; i + (3 * GroupSize) < whole; i += 4 * GroupSize)
        {
            var first = TWiden.ToDouble(values[start + i]);
            var second = TWiden.ToDouble(values[start + i + GroupSize]);
            var third = TWiden.ToDouble(values[start + i + (2 * GroupSize)]);
            var fourth = TWiden.ToDouble(values[start + i + (3 * GroupSize)]);
            tally = tally.With(first).With(second).With(third).With(fourth);
        }

        for (; i < whole; i += GroupSize)
        {
            tally = tally.With(TWiden.ToDouble(values[start + i]));
        }

        shared[Sums + slot] = tally.Sum;
        shared[Minima + slot] = tally.Minimum;
        shared[Maxima + slot] = tally.Maximum;
        shared[Zeros + slot] = tally.Zeros;
    }

    private static void AddDeviations<T, TWiden>(
        ArrayView<T> values, long start, int slot, int whole, ArrayView<double> shared, double mean, long nothing)
        where T : unmanaged
        where TWiden : struct, IWiden<T>
    {
        var tally = new DeviationTally(0, 0);
        var i = slot;
        for (; i + (3 * GroupSize) < whole; i += 4 * GroupSize)
        {
            var first = TWiden.ToDouble(values[start + i]);
            var second = TWiden.ToDouble(values[start + i + GroupSize]);
            var third = TWiden.ToDouble(values[start + i + (2 * GroupSize)]);
            var fourth = TWiden.ToDouble(values[start + i + (3 * GroupSize)]);
            tally = tally.With(first - mean, nothing).With(second - mean, nothing).With(third - mean, nothing).With(fourth - mean, nothing);
        }

        for (; i < whole; i += GroupSize)
        {
            tally = tally.With(TWiden.ToDouble(values[start + i]) - mean, nothing);
        }

        shared[Squares + slot] = tally.Squares;
        shared[Rests + slot] = tally.Rest;
    }

    // Of two slots that differ in one bit the lower takes the other's; those that were added before have these bits clear.
    private static void AddAcross(ArrayView<double> shared, int across, int done)
    {
        for (int slot = Group.IdxX; slot < GroupSize; slot += Group.DimX)
        {
            if ((slot & done) == 0)
            {
                var other = slot + across;
                shared[Sums + slot] += shared[Sums + other];
                shared[Zeros + slot] += shared[Zeros + other];
                var (minimum, maximum) = (shared[Minima + other], shared[Maxima + other]);
                shared[Minima + slot] = minimum < shared[Minima + slot] ? minimum : shared[Minima + slot];
                shared[Maxima + slot] = maximum > shared[Maxima + slot] ? maximum : shared[Maxima + slot];
            }
        }

        Group.Barrier();
    }

    private static void AddDeviationsAcross(ArrayView<double> shared, int across, int done)
    {
        for (int slot = Group.IdxX; slot < GroupSize; slot += Group.DimX)
        {
            if ((slot & done) == 0)
            {
                shared[Squares + slot] += shared[Squares + slot + across];
                shared[Rests + slot] += shared[Rests + slot + across];
            }
        }

        Group.Barrier();
    }

    private readonly struct ValueTally(double sum, double minimum, double maximum, double zeros)
    {
        public readonly double Sum = sum;
        public readonly double Minimum = minimum;
        public readonly double Maximum = maximum;
        public readonly double Zeros = zeros;

        public ValueTally With(double value) => new(
            Sum + value,
            value < Minimum ? value : Minimum,
            value > Maximum ? value : Maximum,
            Zeros + (value == 0 ? 1.0 : 0.0));
    }

    private readonly struct DeviationTally(double squares, double rest)
    {
        public readonly double Squares = squares;
        public readonly double Rest = rest;

        public DeviationTally With(double deviation, long nothing) => new(Squares + Square(deviation, nothing), Rest + deviation);

        // Drivers fuse a product into the addition that follows, which rounds once instead of twice; not across an integer
        // operation that they cannot foresee the result of.
        private static double Square(double value, long nothing) =>
            BitConverter.Int64BitsToDouble(BitConverter.DoubleToInt64Bits(value * value) ^ nothing);
    }
}
