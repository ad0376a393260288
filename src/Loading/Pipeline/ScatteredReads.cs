using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// While a plan is carried out, tells the system of the files of which mostly segments apart from each other are read: what lies behind
/// each, which it would read ahead, is what this rank does not need.
/// </summary>
internal sealed class ScatteredReads : IDisposable
{
    // From here on what a system reads ahead, some hundreds of KiB to some MiB, is little beside the read itself, and helps it.
    private const int LongRead = 1 << 20;

    private readonly List<LocalFileSource> _files = [];

    /// <summary>Gives the hint for each such file of a plan.</summary>
    public ScatteredReads(LoadPlan plan)
    {
        var balance = new long[plan.Checkpoint.Files.Length];
        var first = new long?[balance.Length];
        var end = new long[balance.Length];
        foreach (ref readonly var run in plan.Runs.AsSpan())
        {
            // Sieved runs read what lies between segments too, in one go; a long segment has a run of its own.
            var standsApart = run.IsInPlace && run.Offset != end[run.File] && run.ByteLength < LongRead;
            balance[run.File] += standsApart || run.Kind is RunKind.Gathered or RunKind.Viewed ? run.ByteLength : -run.ByteLength;
            first[run.File] ??= run.Offset;
            end[run.File] = run.Offset + run.ByteLength;
        }

        for (var i = 0; i < balance.Length; i++)
        {
            if (balance[i] > 0 && first[i] is { } offset && plan.Checkpoint.Files[i].Source.FindFileRange(offset, 1) is var (file, _))
            {
                file.ExpectScatteredReads(areScattered: true);
                _files.Add(file);
            }
        }
    }

    /// <summary>Takes the hints back.</summary>
    public void Dispose()
    {
        foreach (var file in _files)
        {
            file.ExpectScatteredReads(areScattered: false);
        }
    }
}
