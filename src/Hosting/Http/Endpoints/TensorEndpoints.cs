using System.Globalization;
using System.Text.Encodings.Web;
using IlgpuLoader.Formats;
using Microsoft.AspNetCore.Http;

namespace IlgpuLoader.Hosting;

/// <summary><c>GET /api/models/{name}/tensors</c>: a model's tensors, page by page.</summary>
/// <param name="store">The models.</param>
/// <param name="options">Limits.</param>
internal sealed class TensorEndpoints(IModelStore store, HttpOptions options)
{
    // What a tree shows at once.
    private const int DefaultPageSize = 100;

    // A thousand tensors with names of six hundred characters, which no published model has; files may have names of any length, and a page is made in memory.
    private const int MaximumPageBytes = 1 << 20;

    // Of {"name":"","dtype":"","shape":[],"bytes":} and its comma, with the longest number of bytes.
    private const int FixedBytes = 64;

    // The longest number of a dimension, and its comma.
    private const int DimensionBytes = 21;

    public async ValueTask<Problem?> ListAsync(HttpContext context, CancellationToken cancellationToken)
    {
        if (!ModelEndpoints.TryFind(context, store, out var model, out var problem))
        {
            return problem;
        }

        var query = context.Request.Query;
        var problems = new List<Problem>();
        var offset = ReadNumber(query, "offset", 0, 0, int.MaxValue, problems);
        var limit = ReadNumber(query, "limit", Math.Min(DefaultPageSize, options.MaximumPageSize), 1, options.MaximumPageSize, problems);
        var filter = NameFilter.Parse(query["filter"], problems);
        if (problems is [var first, ..])
        {
            return first;
        }

        // Together: a load that begins between the two would give the one's tensors and the other's number.
        var (version, tensors) = (model.Status.Version, model.Tensors);
        var (matched, bytes, isFull) = (0, 0L, false);
        var page = new List<TensorDescription>(Math.Min(limit, DefaultPageSize));
        foreach (var tensor in tensors)
        {
            if (filter.Matches(tensor.Name) && matched++ >= offset && !isFull)
            {
                bytes += LengthOf(tensor);
                isFull = page.Count == limit || (page.Count > 0 && bytes > MaximumPageBytes);
                if (isFull)
                {
                    continue;
                }

                page.Add(new TensorDescription(tensor.Name, tensor.DType.Name, tensor.Shape, tensor.Bytes));
            }
        }

        var document = new TensorsDocument(model.Name, version, tensors.Length, matched, offset, limit, page);
        await Json.WriteAsync(context, document, ApiJsonContext.Default.TensorsDocument, cancellationToken).ConfigureAwait(false);
        return null;
    }

    // Names may have what JSON escapes, six bytes a character.
    private static long LengthOf(HostedTensor tensor) =>
        FixedBytes + JavaScriptEncoder.Default.Encode(tensor.Name).Length + tensor.DType.Name.Length + (DimensionBytes * tensor.Shape.Rank);

    private static int ReadNumber(IQueryCollection query, string name, int byDefault, int minimum, int maximum, List<Problem> problems)
    {
        var values = query[name];
        if (values.Count == 0)
        {
            return byDefault;
        }

        if (values.Count == 1 && int.TryParse(values[0], NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= minimum && value <= maximum)
        {
            return value;
        }

        problems.Add(Problem.InvalidQuery(name, values.ToString(), $"one whole number from {minimum} to {maximum}"));
        return byDefault;
    }
}
