using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The files of a model: their order, and which of them are no weights.</summary>
public static class WeightFiles
{
    /// <summary>
    /// Files in the natural order of their base names, so that <c>model-2-of-10</c> comes before <c>model-10-of-10</c> whatever folder they
    /// are in (vLLM's <c>_natural_sort_key</c>). Files of the same name keep the order in which they are given.
    /// </summary>
    /// <param name="files">Paths.</param>
    public static IReadOnlyList<string> InOrder(IEnumerable<string> files)
    {
        ArgumentNullException.ThrowIfNull(files);
        return [.. files.OrderBy(file => Path.GetFileName(file), NaturalOrder.Instance)];
    }

    /// <summary>
    /// Leaves out what is not needed for inference (vLLM's <c>filter_files_not_needed_for_inference</c>): names that end with
    /// <c>training_args.bin</c>, <c>optimizer.bin</c>, <c>optimizer.pt</c>, <c>scheduler.pt</c> or <c>scaler.pt</c>. A folder that is opened as a
    /// checkpoint leaves the same files out by itself.
    /// </summary>
    /// <param name="files">Paths; the others keep their order.</param>
    public static IReadOnlyList<string> NeededForInference(IEnumerable<string> files)
    {
        ArgumentNullException.ThrowIfNull(files);
        return [.. files.Where(file => !TrainerFiles.Contain(file))];
    }
}
