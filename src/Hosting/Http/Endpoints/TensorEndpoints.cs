using System.Globalization;
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
        var matched = 0;
        var page = new List<TensorDescription>(Math.Min(limit, DefaultPageSize));
        foreach (var tensor in tensors)
        {
            if (filter.Matches(tensor.Name) && matched++ >= offset && page.Count < limit)
            {
                page.Add(new TensorDescription(tensor.Name, tensor.DType.Name, tensor.Shape, tensor.Bytes));
            }
        }

        var document = new TensorsDocument(model.Name, version, tensors.Length, matched, offset, limit, page);
        await Json.WriteAsync(context, document, ApiJsonContext.Default.TensorsDocument, cancellationToken).ConfigureAwait(false);
        return null;
    }

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
